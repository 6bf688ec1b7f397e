import pytest
import torch
import torchvision
from torch import nn

from pipeline.backbones import resnet
from pipeline.backbones.resnet import IBN, ResNet, recompute_blocks
from pipeline.training.groups import batch_statistics_of

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


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last], ids=str)
def test_ibn_gives_maps_back_as_they_lay(form):
    maps = torch.randn(2, 4, 5, 3)
    found = IBN(4)(maps.contiguous(memory_format=form))
    assert found.is_contiguous(memory_format=form)
    torch.testing.assert_close(found, IBN(4)(maps))


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


def build(depth=18, *, ibn=False, recompute=False):
    torch.manual_seed(0)
    net = ResNet(**SMALL | {"depth": depth, "ibn": ibn}).train()
    if recompute:
        recompute_blocks(net)
    return net


def two_passes(net, *, is_bfloat16=False):
    """Returns gradients and buffers after groups 0 and 1, and the random state then."""
    torch.manual_seed(1)
    for group in (0, 1):
        with batch_statistics_of([group], net), torch.autocast("cpu", torch.bfloat16, enabled=is_bfloat16):
            maps = net(torch.randn(4, 3, 32, 16))
        maps.float().square().mean().backward()
    gradients = {f"gradient of {name}": weight.grad for name, weight in net.named_parameters()}
    return {**gradients, **dict(net.named_buffers()), "random": torch.get_rng_state()}


@pytest.mark.parametrize(
    ("depth", "ibn", "is_bfloat16"), [(18, False, False), (18, False, True), (50, True, False), (50, True, True)]
)
def test_recomputed_blocks_have_the_same_gradients_and_move_statistics_once(depth, ibn, is_bfloat16):
    kept = two_passes(build(depth, ibn=ibn), is_bfloat16=is_bfloat16)
    again = two_passes(build(depth, ibn=ibn, recompute=True), is_bfloat16=is_bfloat16)
    assert again.keys() == kept.keys()
    for name, value in kept.items():
        assert torch.equal(again[name], value), name
    assert again["layer4.1.bn2.num_batches_tracked"] == 1


def test_recomputed_blocks_keep_track_of_statistics_afterwards():
    net = build(recompute=True)
    names = list(net.state_dict())
    two_passes(net)
    assert list(net.state_dict()) == names == list(build().state_dict())
    assert all(layer.track_running_stats for layer in net.modules() if isinstance(layer, nn.BatchNorm2d))


def test_only_training_with_gradient_recomputes(monkeypatch):
    passes = []
    monkeypatch.setattr(resnet, "checkpoint", lambda run, maps, **_: passes.append(1) or run(maps))
    net, images = build(recompute=True), torch.randn(2, 3, 32, 16)
    with torch.no_grad():
        net(images)
    net.eval()(images)
    assert not passes
    net.train()(images)
    assert len(passes) == 8
