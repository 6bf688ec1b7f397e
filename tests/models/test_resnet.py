import pytest
import torch
import torchvision
from torch import nn

from pipeline.models.resnet import IBN, ResNet

PLAIN = {"width": 1, "ibn": False, "last_stride": 2, "stem_pool": "padded"}
SMALL = {"depth": 18, "width": 0.125, "ibn": False, "last_stride": 1, "stem_pool": "padded"}


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_names_and_shapes_are_torchvisions(depth):
    with torch.device("meta"):
        ours = ResNet(depth=depth, **PLAIN).state_dict()
        theirs = getattr(torchvision.models, f"resnet{depth}")().state_dict()
    shapes = {name: tensor.shape for name, tensor in theirs.items() if not name.startswith("fc.")}
    assert {name: tensor.shape for name, tensor in ours.items()} == shapes


@pytest.mark.parametrize("depth", [18, 50])
def test_the_last_map_is_torchvisions(depth):
    reference = getattr(torchvision.models, f"resnet{depth}")().eval()
    ours = ResNet(depth=depth, **PLAIN).eval()
    ours.load_state_dict(reference.state_dict(), strict=False)
    images = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        expected = nn.Sequential(*list(reference.children())[:-2])(images)
        torch.testing.assert_close(ours(images), expected)


@pytest.mark.parametrize("stem_pool", ["padded", "ceil"])
@pytest.mark.parametrize("last_stride", [1, 2])
@pytest.mark.parametrize("height", [33, 35, 48, 64, 70, 101])
def test_map_size_is_that_of_the_map(stem_pool, last_stride, height):
    net = ResNet(**SMALL | {"stem_pool": stem_pool, "last_stride": last_stride}).to("meta").eval()
    assert net(torch.zeros(1, 3, height, 32, device="meta")).shape[2:] == (net.map_size(height), net.map_size(32))


def test_ibn_is_in_the_first_three_layers_only():
    net = ResNet(**SMALL | {"ibn": True})
    layers = (net.layer1, net.layer2, net.layer3, net.layer4)
    assert [sum(isinstance(part, IBN) for part in layer.modules()) for layer in layers] == [2, 2, 2, 0]


def test_ibn_normalises_its_first_half_per_image():
    ibn = IBN(4)
    images = torch.randn(3, 4, 5, 5)
    together, alone = ibn(images), ibn(images[:1])
    torch.testing.assert_close(together[:1, :2], alone[:, :2])
    assert not torch.allclose(together[:1, 2:], alone[:, 2:])


def test_width_scales_every_channel():
    full, half = (ResNet(depth=50, **PLAIN | {"width": width}).to("meta") for width in (1, 0.5))
    assert (full.channels, half.channels) == ((1024, 2048), (512, 1024))
    assert (full.architecture, half.architecture) == ("resnet50", "resnet50_x0.5")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depth": 20}, "depth: expected one of 18, 34, 50, 101, got 20"),
        ({"last_stride": 3}, "last_stride: expected 1 or 2, got 3"),
        ({"stem_pool": "same"}, "stem_pool: expected 'padded' or 'ceil', got 'same'"),
        ({"width": 0.3}, "width: .* even number of channels, got 0.3"),
    ],
)
def test_wrong_keywords_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        ResNet(**SMALL | wrong)
