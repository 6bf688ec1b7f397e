import copy

import pytest
import torch
from torch import nn

from pipeline.training.optimizers import AdamParams, SGDParams, load_optimizer, make_optimizer, set_learning_rate

SGD = SGDParams(kind="sgd", momentum=0.9, head_factor=10.0)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)).double()
    network[1].weight.requires_grad_(False)
    return network


def take_steps(network, optimizer, rates):
    for step, rate in enumerate(rates):
        optimizer.zero_grad()
        inputs = torch.arange(8, dtype=torch.float64).view(2, 4) + step
        network(inputs).square().sum().backward()
        set_learning_rate(optimizer, rate)
        optimizer.step()


def test_heads_learn_by_their_factor_as_with_two_optimizers_of_torch(network):
    theirs = copy.deepcopy(network)
    take_steps(network, make_optimizer(SGD, network, [network[2]], weight_decay=0.01), (1e-4, 1e-4, 1e-5))
    settings = {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}
    slow = torch.optim.SGD([*theirs[0].parameters(), theirs[1].bias], lr=1e-4, **settings)
    fast = torch.optim.SGD(theirs[2].parameters(), lr=1e-3, **settings)
    for step in range(3):
        for optimizer, rate in ((slow, 1e-4), (fast, 1e-3)):
            optimizer.zero_grad()
            optimizer.param_groups[0]["lr"] = rate * (0.1 if step == 2 else 1)
        theirs(torch.arange(8, dtype=torch.float64).view(2, 4) + step).square().sum().backward()
        slow.step()
        fast.step()
    for ours, other in zip(network.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-12, atol=0)


def test_frozen_weights_are_left_alone(network):
    before = network[1].weight.clone()
    for params in (AdamParams(kind="adam"), SGD):
        optimizer = make_optimizer(params, network, [network[1]], weight_decay=0.1)
        take_steps(network, optimizer, (1e-3,))
        assert sum(len(group["params"]) for group in optimizer.param_groups) == 5
    assert torch.equal(network[1].weight, before)


def test_a_network_that_is_all_head_or_none_has_one_group(network):
    for heads, factor in (([network], 10.0), ([], 1.0)):
        optimizer = make_optimizer(SGD, network, heads, weight_decay=0.0)
        assert [group["factor"] for group in optimizer.param_groups] == [factor]


def test_factors_are_restored_with_the_optimizer(network):
    first, second = (make_optimizer(SGD, network, [network[2]], weight_decay=0.0) for _ in range(2))
    take_steps(network, first, (1e-4,))
    second.load_state_dict(first.state_dict())
    assert [group["factor"] for group in second.param_groups] == [1.0, 10.0]


def test_a_first_step_that_overflows_leaves_no_trace_in_the_momentum():
    weights = [nn.Linear(3, 1, bias=False) for _ in range(2)]
    weights[1].load_state_dict(weights[0].state_dict())
    torch.use_deterministic_algorithms(True)  # which fills new memory with NaN
    try:
        for network, gradients in zip(weights, ([float("inf"), 1.0, 2.0], [1.0, 2.0]), strict=True):
            optimizer = make_optimizer(SGD, network, [], weight_decay=0.0)
            scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
            set_learning_rate(optimizer, 0.1)
            for gradient in gradients:
                scaler.scale(torch.zeros(()))
                network.weight.grad = torch.full_like(network.weight, gradient) * scaler.get_scale()
                scaler.step(optimizer)
                scaler.update()
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(*(network.weight for network in weights))


@pytest.mark.parametrize("params", [AdamParams(kind="adam"), SGD], ids=["adam", "sgd"])
def test_moments_lie_as_the_weights_do_that_they_are_restored_for(params):
    first, last = (nn.Conv2d(2, 2, 3).double() for _ in range(2))
    last.load_state_dict(first.state_dict())
    last.to(memory_format=torch.channels_last)
    optimizers = [make_optimizer(params, network, [], weight_decay=0.1) for network in (first, last)]
    images = torch.arange(50, dtype=torch.float64).view(1, 2, 5, 5)
    for network, optimizer in zip((first, last), optimizers, strict=True):
        set_learning_rate(optimizer, 1e-3)
        network(images).square().sum().backward()
    optimizers[0].step()
    last.load_state_dict(first.state_dict())
    load_optimizer(optimizers[1], copy.deepcopy(optimizers[0].state_dict()))
    for optimizer in optimizers:
        optimizer.step()
    torch.testing.assert_close(first.weight, last.weight, rtol=1e-12, atol=0)
    moments = [value for value in optimizers[1].state[last.weight].values() if value.dim()]
    assert {value.stride() for value in moments} == {last.weight.stride()}
