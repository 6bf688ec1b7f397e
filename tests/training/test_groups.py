import pytest
import torch
from torch import nn

from pipeline.layers.heads import HeadOutput
from pipeline.methods.mdpr.network import MDPROutput
from pipeline.training.groups import batch_statistics_of, owned_groups, passes, split_groups
from pipeline.training.workers import Workers


def test_workers_share_all_groups_in_order():
    for size in (1, 2, 4):
        shares = [owned_groups(4, Workers(rank, size)) for rank in range(size)]
        assert [group for share in shares for group in share] == [0, 1, 2, 3]


def test_an_uneven_share_names_the_counts_that_work():
    with pytest.raises(ValueError, match="3 workers cannot share 4 groups evenly; use one of 1, 2, 4 workers"):
        owned_groups(4, Workers(0, 3))


def test_running_statistics_follow_group_0_and_outputs_use_each_groups_own():
    layer, images = nn.BatchNorm1d(3), torch.randn(2, 8, 3) + 5
    outputs = []
    for group in (0, 1):
        with batch_statistics_of([group], layer):
            outputs.append(layer(images[group]))
    alone = nn.BatchNorm1d(3)
    alone(images[0])
    assert torch.equal(layer.running_mean, alone.running_mean)
    assert torch.equal(layer.running_var, alone.running_var)
    assert layer.num_batches_tracked == 1
    for output in outputs:
        assert torch.allclose(output.mean(0), torch.zeros(3), atol=1e-6)
    assert layer.track_running_stats


def test_layers_that_keep_no_statistics_stay_that_way():
    layer = nn.BatchNorm1d(3, track_running_stats=False)
    with batch_statistics_of([1], layer):
        layer(torch.randn(4, 3))
    assert not layer.track_running_stats


def test_groups_in_one_pass_have_statistics_of_their_own_and_running_ones_follow_group_0():
    images = torch.randn(2, 8, 3) + torch.tensor([5.0, -5.0])[:, None, None]
    together, apart, alone = nn.BatchNorm1d(3), nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    with batch_statistics_of([0, 1], together):
        seen = together(images.flatten(0, 1))
    assert torch.equal(seen, torch.cat([apart(images[0]), apart(images[1])]))
    alone(images[0])
    assert all(torch.equal(value, alone.state_dict()[name]) for name, value in together.state_dict().items())
    assert torch.equal(together(images[1]), alone(images[1]))


def test_groups_without_group_0_move_no_running_statistics():
    layer = nn.BatchNorm1d(3)
    with batch_statistics_of([2, 3], layer):
        layer(torch.randn(8, 3) + 5)
    assert layer.num_batches_tracked == 0
    assert torch.equal(layer.running_mean, torch.zeros(3))


def test_a_layer_in_evaluation_sees_no_groups():
    layer, images = nn.BatchNorm1d(3).eval(), torch.randn(5, 3)
    with batch_statistics_of([0, 1], layer):
        assert torch.allclose(layer(images), images, atol=1e-4)


def test_groups_of_two_sizes_are_refused():
    with (
        batch_statistics_of([0, 1], layer := nn.BatchNorm1d(3)),
        pytest.raises(ValueError, match="5 maps are no 2 groups of one size: run one group at once"),
    ):
        layer(torch.randn(5, 3))


def test_passes_take_the_groups_in_order_and_the_last_what_is_left():
    assert [list(groups) for groups in passes(range(2, 7), 2)] == [[2, 3], [4, 5], [6]]
    assert [list(groups) for groups in passes(range(4), 9)] == [[0, 1, 2, 3]]


def test_an_output_is_split_wherever_its_tensors_are():
    numbers = torch.arange(8).view(4, 2)
    output = MDPROutput({"a": HeadOutput(numbers, numbers + 1)}, {4: numbers}, {}, (numbers, numbers + 2))
    first, second = split_groups(output, 2)
    assert torch.equal(first.heads["a"].cosines, numbers[:2] + 1)
    assert torch.equal(second.attention[4], numbers[2:])
    assert torch.equal(second.predictions[1], numbers[2:] + 2)
    assert split_groups((numbers, None), 2)[1][1] is None


def test_an_output_that_cannot_be_split_is_named():
    with pytest.raises(TypeError, match="expected tensors in dataclasses, dictionaries or tuples, got list"):
        split_groups([torch.zeros(2)], 2)
