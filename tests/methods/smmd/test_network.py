import pytest
import torch

from pipeline.backbones.resnet import ResNet
from pipeline.methods.smmd.network import TwoStreamNetwork

IS_INFRARED = torch.tensor([False, True, True, False])


def make(**changes):
    torch.manual_seed(0)
    backbone = ResNet(depth=18, width=0.125, ibn=False, last_stride=1, stem_pool="padded")
    settings = {"pooling": "average", "non_local": (0, 1, 2, 0), "num_classes": 3, **changes}
    return TwoStreamNetwork(backbone=backbone, **settings)


def test_each_image_passes_the_stem_of_its_modality_only():
    network = make().eval()
    images = torch.randn(4, 3, 32, 16)
    before = network.embed(images, IS_INFRARED)
    with torch.no_grad():
        network.infrared.conv1.weight += 0.1
    after = network.embed(images, IS_INFRARED)
    changed = (before != after).any(dim=1)
    torch.testing.assert_close(changed, IS_INFRARED)


def test_stems_start_alike_and_are_trained_apart():
    network = make()
    network(torch.randn(4, 3, 32, 16), IS_INFRARED).logits.sum().backward()
    torch.testing.assert_close(network.visible.conv1.weight, network.infrared.conv1.weight)
    assert not torch.equal(network.visible.conv1.weight.grad, network.infrared.conv1.weight.grad)


def test_stem_statistics_are_those_of_their_modality():
    network = make()
    images = torch.randn(4, 3, 32, 16)
    images[IS_INFRARED] += 5
    network(images, IS_INFRARED)
    assert not torch.equal(network.visible.bn1.running_mean, network.infrared.bn1.running_mean)


def test_start_weights_fill_both_stems_and_the_trunk():
    names = [name for name, _ in make().backbone_modules()]
    assert names == ["conv1", "conv1", "bn1", "bn1", "layer1", "layer2", "layer3", "layer4"]


@pytest.mark.parametrize("pooling", ["average", "gem"])
def test_one_modality_alone_can_be_embedded(pooling):
    network = make(pooling=pooling).eval()
    assert network.embed(torch.randn(2, 3, 32, 16), torch.ones(2, dtype=torch.bool)).shape == (2, 64)


def test_more_non_local_than_residual_blocks_is_an_error():
    with pytest.raises(ValueError, match="3 blocks for layer3, which has 2 residual blocks"):
        make(non_local=(0, 0, 3, 0))
