from argparse import Namespace

import pytest
import torch
import train_step

from pipeline.backbones.resnet import recompute_blocks
from pipeline.methods.mdpr.attention import AttentionPool


@pytest.mark.parametrize("name", ["mdpr", "mskd", "smmd"])
def test_both_sides_compute_the_same_loss_gradient_and_state(name):
    method = train_step.build(name, is_small=True).double()
    batch = train_step.make_batch(True, torch.float64)
    loss, state = train_step.LOSSES[name](method, batch)
    weights = [weight for weight in method.network.parameters() if weight.requires_grad]
    theirs = torch.autograd.grad(loss, weights, allow_unused=True)
    output = method(batch)
    ours = torch.autograd.grad(output.loss, weights, allow_unused=True)
    torch.testing.assert_close(output.loss, loss, rtol=1e-7, atol=0)
    for first, second in zip(ours, theirs, strict=True):
        assert (first is None) == (second is None)
        if first is not None:
            torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)
    if name in train_step.UPDATES:
        moved = "memories" if name == "mskd" else "prototypes"
        before = getattr(method, moved).clone()
        method.after_step(batch.labels, output.shared)
        ours_moved = getattr(method, moved).clone()
        getattr(method, moved).copy_(before)
        train_step.UPDATES[name](method, batch, state)
        assert not torch.equal(before, ours_moved)
        torch.testing.assert_close(getattr(method, moved), ours_moved)


@pytest.mark.parametrize("name", ["mdpr", "mskd", "smmd"])
def test_recomputed_blocks_keep_less_for_the_backward_pass(name):
    method, batch = train_step.build(name, is_small=True), train_step.make_batch(True)
    kept = train_step.bytes_kept(method, batch)
    recompute_blocks(method.network)
    assert train_step.bytes_kept(method, batch) < 0.8 * kept


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what needs a GPU")
def test_four_groups_are_measured_beside_one_of_as_many_images():
    *costs, in_turn, at_once = train_step.grouping(Namespace(small=True, repeats=1))
    assert [cost.work.partition(", in ")[2] for cost in costs] == ["turn", "one pass"]
    assert min(side for cost in costs for side in (cost.ours, cost.theirs)) > 0
    assert in_turn.missing == at_once.missing == "a GPU"


@pytest.mark.parametrize("name", ["mdpr", "mskd", "smmd"])
def test_the_rows_of_a_gpu_are_measured_on_any_device(name):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    given = Namespace(small=True, repeats=1, compile=False)
    mixed, plain, share = train_step.beside_eager(name, given, device)
    assert mixed.target == ">= 1.5 times"
    assert plain.target == ">= 2.5 times"
    assert 0 < share.ours < 1000
    assert [row.work for row in (mixed, plain, share)] == [row.work for row in train_step.without_gpu(name)]


def test_pooling_in_one_is_pooling_map_by_map():
    pool = AttentionPool(6, 5, attn_num=3).double()
    maps, attention = torch.randn(2, 6, 4, 3).double(), torch.rand(2, 3, 4, 3).double()
    torch.testing.assert_close(train_step.pooled_in_one(pool, maps, attention), pool(maps, attention))
    assert train_step.pooling(Namespace(small=True, repeats=1))[0].ours > 0


def test_the_share_of_convolutions_is_that_of_a_profile():
    convolution, images = torch.nn.Conv2d(8, 8, 3), torch.randn(4, 8, 32, 32)
    assert train_step.convolutions(lambda: convolution(images)) > 0.5
    assert train_step.convolutions(images.exp) == 0
