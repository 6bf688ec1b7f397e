import pytest
import torch

from pipeline.backbones.resnet import ResNet
from pipeline.methods.mdpr.network import MDPRNetwork

BACKBONE = {"depth": 18, "width": 0.125, "ibn": True, "last_stride": 1, "stem_pool": "padded"}
WHOLE = {
    "num_classes": 3,
    "embedding_dim": 8,
    "hard_global": True,
    "part_num": 2,
    "soft": True,
    "attention": True,
    "attn_num": 2,
    "attn_guided": True,
    "bap_heads": True,
    "fusion": True,
    "predictors": True,
}
FEATURES = ["hard_global", "hard_parts", "attn4", "attn3", "fusion"]


def network(**changes):
    backbone = {name: changes.pop(name) for name in list(changes) if name in BACKBONE}
    return MDPRNetwork(backbone=ResNet(**BACKBONE | backbone), **WHOLE | changes)


def test_the_papers_network_has_its_parameters_and_its_feature():
    with torch.device("meta"):
        net = network(depth=101, width=1, stem_pool="ceil", num_classes=702, embedding_dim=512)
    assert sum(weight.numel() for weight in net.parameters()) == 163_854_519
    assert sum(weight.numel() for weight in net.parameters() if weight.requires_grad) == 163_847_863
    assert sum(net.heads[name].neck.num_features for name in net.feature_heads(FEATURES)) == 4608


def test_branches_start_as_copies_and_part_ways():
    net = network()
    hard, soft = net.hard.layer4[1].conv2.weight, net.soft.layer4[1].conv2.weight
    assert torch.equal(hard, soft)
    assert hard.data_ptr() != soft.data_ptr()


def test_start_weights_reach_the_stem_and_both_branches():
    assert [name for name, _ in network().backbone_modules()] == [
        *("conv1", "bn1", "relu", "maxpool", "layer1", "layer2"),
        *("layer3", "layer4"),
        *("layer3", "layer4"),
    ]


def test_the_feature_joins_its_parts_in_their_own_order():
    net = network().eval()
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        whole = net.embed(images, FEATURES)
        parts = [net.embed(images, [feature]) for feature in FEATURES]
        assert torch.equal(net.embed(images, FEATURES[::-1]), whole)
    assert [part.shape[1] for part in parts] == [8, 16, 8, 8, 32]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


def test_output_shapes_are_as_documented():
    output = network(attn_num=4)(torch.randn(2, 3, 64, 32))
    assert list(output.heads) == [
        *("hard_global", "hard_part_0", "hard_part_1", "attn4", "attn3", "fusion"),
        *("bap4", "bap3"),
    ]
    assert output.heads["bap4"].vector.shape == (2, 32)
    assert {depth: maps.shape for depth, maps in output.attention.items()} == dict.fromkeys((4, 3), (2, 4, 4, 2))
    assert {depth: pooled.shape for depth, pooled in output.pooled.items()} == dict.fromkeys((4, 3), (2, 4, 8))
    assert [prediction.shape for prediction in output.predictions] == [(2, 8)] * 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"soft": False}, "attention needs soft"),
        ({"attention": False}, "bap_heads needs attention"),
        ({"part_num": 0}, "fusion needs hard_global, stripes and soft"),
        ({"hard_global": False, "fusion": False}, "predictors needs hard_global and soft"),
        ({"last_stride": 2}, "soft needs last_stride 1"),
    ],
)
def test_switches_that_need_others_say_so(wrong, message):
    with pytest.raises(ValueError, match=message):
        network(**wrong)


def test_a_feature_that_is_switched_off_is_named():
    net = network(fusion=False)
    with pytest.raises(ValueError, match="expected some of hard_global, hard_parts, attn4, attn3, got fusion"):
        net.feature_heads(["fusion"])
