"""What moves the weights, and how fast each of them learns beside the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from pipeline.config import Record


class AdamParams(Record):
    """Adam as torch has it, betas .9 and .999; all weights learn alike."""

    kind: Literal["adam"]


class SGDParams(Record):
    """Momentum in Nesterov's form; the weights of ``Method.heads`` learn ``head_factor`` times as fast as the rest."""

    kind: Literal["sgd"]
    momentum: Annotated[float, Field(gt=0, lt=1)]
    head_factor: Annotated[float, Field(gt=0, le=1000)]


OptimizerParams = Annotated[AdamParams | SGDParams, Field(discriminator="kind")]


def make_optimizer(
    params: AdamParams | SGDParams, network: nn.Module, heads: Iterable[nn.Module], *, weight_decay: float
) -> torch.optim.Optimizer:
    """Returns the optimizer of the network's trained weights.

    Each of its ``param_groups`` has a ``factor``, by which the learning rate of a step is multiplied
    (``set_learning_rate``). ``weight_decay`` is an L2 term on every weight, norms and biases included.
    """
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    if isinstance(params, AdamParams):
        return torch.optim.Adam([{"params": trained, "factor": 1.0}], weight_decay=weight_decay, fused=True)
    fast = {id(weight) for head in heads for weight in head.parameters()}
    groups = [
        {"params": [weight for weight in trained if id(weight) not in fast], "factor": 1.0},
        {"params": [weight for weight in trained if id(weight) in fast], "factor": params.head_factor},
    ]
    optimizer = torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=0.0,
        momentum=params.momentum,
        nesterov=True,
        weight_decay=weight_decay,
        fused=True,
    )
    # A fused step makes its buffers of unfilled memory, and leaves them so where float16 has overflowed.
    for weight in trained:
        optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
    return optimizer


def load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Restores what ``state_dict`` gave, the moments laid out as the weights are here.

    Fused steps pair them as they lie in memory, and a GPU has its channels last, a CPU first.
    """
    optimizer.load_state_dict(saved)
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == weight.shape:
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Ensures that the next step is taken with ``rate`` times each group's factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
