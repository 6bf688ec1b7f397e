import pytest
import torch
from torch.nn import functional as F

from pipeline.backbones.resnet import ResNet
from pipeline.backbones.weights import load_backbone
from pipeline.methods.mskd.network import MSKDNetwork, cut_equally, split_views

IMAGES = torch.randn(4, 3, 96, 32, generator=torch.Generator().manual_seed(0))


def build(stripes=2, pooling="gem"):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = ResNet(depth=18, width=0.125, ibn=False, last_stride=1, stem_pool="padded")
        return MSKDNetwork(backbone=backbone, pooling=pooling, stripes=stripes)


@pytest.mark.parametrize(
    ("stripes", "views"),
    [(0, ("global",)), (2, ("global", "upper", "lower")), (3, ("global", "upper", "middle", "lower"))],
)
def test_the_whole_and_each_stripe_are_a_view_of_unit_length(stripes, views):
    network = build(stripes)
    output = network(IMAGES)
    assert network.views == views
    assert output.shape == (len(views), 4, 64)
    torch.testing.assert_close(output.norm(dim=2), torch.ones(len(views), 4))


def test_each_view_is_made_of_its_rows_alone_by_its_own_pool_and_neck():
    network = build().eval()
    with torch.no_grad():
        for index, view in enumerate(network.views):
            network.pools[view].p.fill_(2.0 + index)
            network.necks[view].running_mean.fill_(0.1 * index)
        maps = network.backbone(IMAGES)
        views = network(IMAGES)
        for index, rows in enumerate([slice(0, 6), slice(0, 3), slice(3, 6)]):
            power = 2.0 + index
            pooled = maps[:, :, rows].clamp(min=1e-6).pow(power).mean(dim=(2, 3)).pow(1 / power)
            expected = F.normalize((pooled - 0.1 * index) / (1 + 1e-5) ** 0.5, dim=1)
            torch.testing.assert_close(views[index], expected)


def test_the_global_view_is_the_test_feature_and_is_the_same_without_stripes():
    network, alone = build().eval(), build(0).eval()
    with torch.no_grad():
        assert torch.equal(network.embed(IMAGES), network(IMAGES)[0])
        assert torch.equal(network.embed(IMAGES), alone.embed(IMAGES))
        assert torch.equal(alone.embed_views(IMAGES), alone.embed(IMAGES))


def test_embedded_views_lie_side_by_side_and_come_apart_again():
    network = build().eval()
    with torch.no_grad():
        views, embedded = network(IMAGES), network.embed_views(IMAGES)
    assert torch.equal(embedded, torch.cat(list(views), dim=1))
    assert torch.equal(split_views(embedded, 3), views)


def test_every_weight_learns_but_the_shifts_of_the_necks():
    network = build(3)
    (network(IMAGES) * torch.randn(4, 4, 64)).sum().backward()
    for name, weight in network.named_parameters():
        if name.startswith("necks") and name.endswith("bias"):
            assert not weight.requires_grad
            assert not weight.any()
        else:
            assert weight.grad is not None
            assert weight.grad.any(), name


def test_rows_that_do_not_divide_are_left_out_at_the_bottom():
    maps = torch.arange(8.0).view(1, 1, 8, 1)
    assert [stripe.flatten().tolist() for stripe in cut_equally(maps, 3)] == [[0, 1], [2, 3], [4, 5]]
    assert [stripe.flatten().tolist() for stripe in cut_equally(maps[:, :, :5], 2)] == [[0, 1], [2, 3]]
    assert cut_equally(maps, 0) == []


def test_a_map_lower_than_its_stripes_is_an_error():
    with pytest.raises(ValueError, match="expected at most 2, the rows of the map, got 3"):
        cut_equally(torch.zeros(1, 1, 2, 4), 3)


def test_another_number_of_stripes_is_an_error():
    with pytest.raises(ValueError, match="stripes: expected 0, 2, 3, got 1"):
        build(1)


def test_start_weights_fill_the_trunk_alone():
    network, other = build(), ResNet(depth=18, width=0.125, ibn=False, last_stride=1, stem_pool="padded")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_backbone(network, other.state_dict())
    for name, tensor in network.state_dict().items():
        expected = other.state_dict().get(name.removeprefix("backbone."), before[name])
        assert torch.equal(tensor, expected)


def test_average_pooling_is_the_mean_of_each_views_rows():
    network = build(pooling="average").eval()
    with torch.no_grad():
        maps, views = network.backbone(IMAGES), network(IMAGES)
        for view, rows, found in zip(network.views, [slice(0, 6), slice(0, 3), slice(3, 6)], views, strict=True):
            mean = maps[:, :, rows].mean(dim=(2, 3))
            torch.testing.assert_close(found, F.normalize(network.necks[view](mean), dim=1))
    assert not [name for name, _ in network.named_parameters() if name.startswith("pools")]
