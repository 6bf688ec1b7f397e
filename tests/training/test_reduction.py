from functools import partial

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as spawn
from torch import nn
from torch.utils.checkpoint import checkpoint

from pipeline.training import reduction as module
from pipeline.training.reduction import Reduction, buckets, gradients
from tests.training.toy import Toy, make_trainer

A_LAYER = 100
"""Bytes that hold weight and bias of one layer of ``Net``, and no more."""


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.unused, self.second, self.third = (nn.Linear(3, 3, dtype=torch.float64) for _ in range(4))

    def loss(self, rank, group):
        """The second layer is reached by the first group of a worker alone, the third by the second worker alone."""
        generator = torch.Generator().manual_seed(10 * rank + group)
        found = self.first(torch.randn(5, 3, dtype=torch.float64, generator=generator)).tanh()
        found = found if group else self.second(found).tanh()
        return (self.third(found) if rank else found).square().sum()


class Broken(torch.autograd.Function):
    @staticmethod
    def forward(ctx, found):
        return found.clone()

    @staticmethod
    def backward(ctx, _):
        raise LookupError("no gradient here")


class Line:
    """What happened, in order: the buckets that were sent, and whatever else is noted."""

    def __init__(self):
        self.events, self.works, self.send = [], [], dist.all_reduce

    def all_reduce(self, tensor, async_op=False):
        work = self.send(tensor, async_op=async_op)
        if async_op:
            self.events.append(f"sent {tensor.numel()}")
            self.works.append(work)
        return work


def plain(*ranks):
    """Gradients by name of all groups of the ranks, None where there is none."""
    net = Net()
    for rank in ranks:
        for group in range(2):
            net.loss(rank, group).backward()
    return grads(net)


def grads(net):
    return {name: None if weight.grad is None else weight.grad.clone() for name, weight in net.named_parameters()}


def _overlapped(line):
    net = Net()
    net.first.weight.register_post_accumulate_grad_hook(lambda _: line.events.append("first layer"))
    layers = [net.first, net.second, net.third]
    found = torch.ones(1, 3, dtype=torch.float64)
    for layer in layers:
        found = layer(found)
    Reduction([weight for layer in layers for weight in layer.parameters()], 2).backward(found.sum())


def _stepped(line, rank, net, reduction):
    net.zero_grad()
    net.loss(rank, 0).backward()
    line.events.append("first group")
    reduction.backward(net.loss(rank, 1))
    return grads(net)


def _failing(line, net, reduction):
    with pytest.raises(LookupError, match="no gradient here"):
        reduction.backward(net.third(Broken.apply(net.first(torch.ones(1, 3, dtype=torch.float64)))).sum())
    return {
        "works": [work.is_completed() for work in line.works],
        "hooks": [len(weight._post_accumulate_grad_hooks or ()) for weight in net.parameters()],
    }


def _twice(line, net, reduction):
    inner = checkpoint(net.third, torch.ones(1, 3, dtype=torch.float64, requires_grad=True), use_reentrant=True)
    with pytest.raises(KeyError):
        reduction.backward(checkpoint(net.third, inner, use_reentrant=True).sum())


def _lying(line):
    """Two steps of a convolution whose channels come last."""
    net = nn.Conv2d(4, 4, 3).to(memory_format=torch.channels_last)
    reduction = Reduction(net.parameters(), 2)
    images = torch.arange(100.0).view(1, 4, 5, 5).to(memory_format=torch.channels_last)
    found = []
    for _ in range(2):
        net.zero_grad()
        reduction.backward(net(images).sum())
        found.append([(weight.stride(), weight.grad.stride(), weight.grad.data_ptr()) for weight in net.parameters()])
    alone = torch.autograd.grad(net(images).sum(), [*net.parameters()])
    return found, [torch.equal(weight.grad, 2 * one) for weight, one in zip(net.parameters(), alone, strict=True)]


def _trained(line):
    method = Toy(num_classes=6, groups=4, seed=3)
    method.network.register_forward_hook(lambda *_: line.events.append("group"))
    trainer = make_trainer(method=method, groups=4, epochs=1)
    trainer.run()
    return len(trainer.reduction.buckets)


def _work(rank, folder):
    torch.set_num_threads(1)
    module.BUCKET_BYTES = A_LAYER
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    net = Net()
    reduction = Reduction(net.parameters(), 2)
    stepped = partial(_stepped, rank=rank, net=net, reduction=reduction)
    acts = {
        "overlapped": _overlapped,
        "stepped": stepped,
        "failing": partial(_failing, net=net, reduction=reduction),
        "again": stepped,
        "lying": _lying,
        "twice": partial(_twice, net=net, reduction=reduction),
        "trained": _trained,
    }
    done = {}
    for name, act in acts.items():
        line = Line()
        dist.all_reduce = line.all_reduce
        done[name] = {"found": act(line), "events": line.events}
        dist.all_reduce = line.send
    torch.save(done, folder / f"worker-{rank}")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """What each of two gloo processes found and noted."""
    folder = tmp_path_factory.mktemp("reduction")
    spawn.spawn(_work, (folder,), nprocs=2)
    return [torch.load(folder / f"worker-{rank}") for rank in range(2)]


@pytest.mark.ddp
def test_buckets_are_sent_last_layer_first_before_the_backward_pass_is_at_the_first_layer(done):
    for worker in done:
        assert worker["overlapped"]["events"] == ["sent 14", "sent 14", "first layer", "sent 14"]


@pytest.mark.ddp
def test_each_gradient_is_the_sum_over_all_groups_and_workers_wherever_there_is_one(done):
    ours, theirs = plain(0), plain(1)
    assert ours["third.weight"] is None
    for name, one in ours.items():
        other = theirs[name]
        expected = other if one is None else one if other is None else one + other
        for worker in done:
            found = worker["stepped"]["found"][name]
            assert (found is None) == name.startswith("unused")
            assert expected is None if found is None else torch.equal(found, expected)


@pytest.mark.ddp
def test_nothing_is_sent_before_the_last_group_and_the_layout_is_the_same_for_all_whatever_they_reach(done):
    for worker in done:
        assert worker["stepped"]["events"] == ["first group"] + 4 * ["sent 14"]


@pytest.mark.ddp
def test_a_worker_sends_once_a_step_after_the_last_of_its_groups(done):
    for worker in done:
        buckets_of_step = worker["trained"]["found"]
        kinds = [event.split(" ")[0] for event in worker["trained"]["events"]]
        a_step = ["group", "group"] + buckets_of_step * ["sent"]
        assert kinds == a_step * (len(kinds) // len(a_step))
        assert buckets_of_step > 1


@pytest.mark.ddp
def test_gradients_lie_as_their_weights_and_stay_in_the_same_bucket(done):
    for worker in done:
        (first, second), are_sums = worker["lying"]["found"]
        assert first == second
        assert all(weight == gradient for weight, gradient, _ in first)
        assert first[0][0] == (36, 1, 12, 4)
        assert are_sums == [True, True]


@pytest.mark.ddp
def test_an_error_in_the_backward_pass_leaves_no_hooks_and_no_work_and_the_next_step_is_right(done):
    for worker in done:
        assert worker["failing"]["found"]["works"] == [True]
        assert worker["failing"]["found"]["hooks"] == 8 * [0]
        again, before = worker["again"]["found"], worker["stepped"]["found"]
        assert all(torch.equal(again[name], value) for name, value in before.items() if value is not None)


@pytest.mark.ddp
def test_a_gradient_that_changes_after_it_was_sent_is_an_error(done):
    assert [worker["twice"]["events"] for worker in done] == [["sent 14"], ["sent 14"]]


def test_one_worker_hooks_nothing_and_sends_nothing(monkeypatch):
    monkeypatch.setattr(dist, "all_reduce", None)
    monkeypatch.setattr(torch.Tensor, "register_post_accumulate_grad_hook", None)
    net, other = Net(), Net()
    Reduction(net.parameters(), 1).backward(net.loss(1, 0))
    other.loss(1, 0).backward()
    assert [found.tolist() for found in gradients(net.parameters())] == [
        found.tolist() for found in gradients(other.parameters())
    ]


def test_weights_without_a_gradient_are_left_out_of_the_gradients():
    layer = nn.Linear(2, 2)
    layer.weight.grad = torch.ones(2, 2)
    assert [found.tolist() for found in gradients(layer.parameters())] == [[[1, 1], [1, 1]]]


@pytest.mark.parametrize("limit", [8, 64, 10_000])
def test_buckets_hold_one_dtype_in_the_order_that_was_given(monkeypatch, limit):
    monkeypatch.setattr(module, "BUCKET_BYTES", limit)
    tensors = [torch.zeros(3, 4), torch.zeros(2, dtype=torch.int64), torch.zeros(40, dtype=torch.float64)]
    tensors += [torch.zeros(()), torch.zeros(5, 5)]
    found = buckets(tensors)
    assert all(len({tensor.dtype for tensor in bucket}) == 1 for bucket in found)
    together = [tensor for bucket in found for tensor in bucket]
    assert [id(tensor) for tensor in together] == [id(tensors[place]) for place in (0, 3, 4, 2, 1)]
    large = [bucket for bucket in found if sum(tensor.nbytes for tensor in bucket) > limit]
    assert all(len(bucket) == 1 for bucket in large)
    assert len(found) == {8: 5, 64: 4, 10_000: 3}[limit]
