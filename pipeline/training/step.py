"""How a step is computed, where that moves results by rounding at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import nn

from pipeline.backbones.resnet import recompute_blocks
from pipeline.config import Record
from pipeline.training.method import Method


class StepParams(Record):
    """Memory, time and rounding of a step.

    ``recompute``: whether residual blocks keep only their input for the backward pass and run again in it, which takes
    less memory and more time. ``compile``: whether torch.compile fuses the networks, see ``prepared``.
    ``groups_at_once``: how many of a worker's groups the network sees in one pass, which takes that many times the
    memory; 1 runs them in turn, and more than there are is all of them.
    """

    recompute: bool
    compile: bool
    groups_at_once: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _check(self) -> StepParams:
        if self.compile and self.recompute:
            raise ValueError("compile: expected false with recompute, as blocks that run again can't be compiled")
        return self


PLAIN = StepParams(recompute=False, compile=False, groups_at_once=1)
"""A step as the paper's reference computes it."""


@contextmanager
def prepared(method: Method, step: StepParams, device: torch.device, say: Callable[[str], None]) -> Iterator[None]:
    """Within it the method's networks are laid out, recompute and are compiled as ``step`` has it.

    On a GPU channels come last, as its convolutions take them. The first compiled pass of each form takes minutes, and
    embedding is not compiled, as its batches vary in size. What can't be compiled runs as it is: everything where there
    is no compiler for the device, which ``say`` is told, otherwise parts, of which torch warns.
    """
    if device.type == "cuda":
        method.to(memory_format=torch.channels_last)
    if step.recompute:
        recompute_blocks(method.network)
    obstacle = _find_obstacle(device) if step.compile else ""
    if obstacle:
        say(f"not compiled, as torch.compile does not work here: {obstacle}")
    if obstacle or not step.compile:
        yield
        return
    say("compiling: the first steps take minutes")
    with torch._dynamo.config.patch(suppress_errors=True):
        for network in networks(method):
            network.compile()
        yield


def networks(method: Method) -> list[nn.Module]:
    """Returns what is trained, and frozen networks such as a teacher."""
    return [part for part in method.children() if part is method.network or hasattr(part, "backbone_modules")]


def _find_obstacle(device: torch.device) -> str:
    """Returns why nothing can be compiled for the device, or nothing."""
    with torch._dynamo.config.patch(suppress_errors=False):
        try:
            torch.compile(_probe)(torch.ones(8, device=device))
        except Exception as error:  # whatever is missing: a compiler, headers, Triton, a GPU new enough
            return str(error).strip().partition("\n")[0] or type(error).__name__
    return ""


def _probe(values: torch.Tensor) -> torch.Tensor:
    return values.relu() + 1
