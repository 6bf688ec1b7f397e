import pytest
import torch
from torch import nn

from pipeline.training.groups import batch_statistics_of, owned_groups
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
        with batch_statistics_of(group, layer):
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
    with batch_statistics_of(1, layer):
        layer(torch.randn(4, 3))
    assert not layer.track_running_stats
