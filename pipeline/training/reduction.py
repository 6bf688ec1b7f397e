"""The sum of the workers' gradients, on its way while the backward pass still runs.

Differs from ``DistributedDataParallel`` on purpose: a worker runs several groups a step and sends their gradient once;
the layout of the buckets follows from the trained weights alone (DDP rebuilds its own after the first step, which
changes the order of sums of a resumed run on three workers and more), and no wrapper ends up in saved names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

BUCKET_BYTES = 25 * 2**20

AnyTensor = TypeVar("AnyTensor", bound=Tensor)


class Reduction:
    """Sums the gradients of ``trained`` over ``size`` workers, bucket by bucket.

    The last weights come first, as a backward pass is done with them first, and every worker sends the buckets in the
    same order, whichever of them is complete earlier. Each weight has its place, zeros where a step gave it no
    gradient, and a mark that says so: it has one afterwards if it had one on any worker, as if one had run all groups.
    """

    def __init__(self, trained: Iterable[nn.Parameter], size: int) -> None:
        self.size = size
        self.buckets = buckets(reversed([*trained]))

    def backward(self, loss: Tensor) -> None:
        """Runs the last backward pass of a step; afterwards each gradient is its sum over all groups and workers.

        A bucket is sent as soon as it is complete and those before it are sent; what a pass leaves incomplete, for
        there are weights that it does not reach, follows after it. An error in the pass reaches the caller once the
        buckets sent until then have arrived.
        """
        if self.size == 1:
            loss.backward()
            return
        missing: list[set[Tensor]] = [set(bucket) for bucket in self.buckets]
        sent: list[tuple[Tensor, Any]] = []

        def complete(number: int, weight: Tensor) -> None:
            missing[number].remove(weight)  # raises if it changes again, as its bucket may be gone
            while len(sent) < len(missing) and not missing[len(sent)]:
                sent.append(_send(self.buckets[len(sent)]))

        try:
            with ExitStack() as hooks:
                for number, bucket in enumerate(self.buckets):
                    for weight in bucket:
                        hook = weight.register_post_accumulate_grad_hook(partial(complete, number))
                        hooks.callback(hook.remove)
                loss.backward()
            sent += [_send(bucket) for bucket in self.buckets[len(sent) :]]
        except Exception:
            for _, work in sent:
                with suppress(RuntimeError):  # the other workers may be gone; this error says more
                    work.wait()
            raise
        for bucket, (flat, work) in zip(self.buckets, sent, strict=True):
            work.wait()
            _receive(flat, bucket)


def gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """Returns the gradients there are, in the order of the parameters."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def buckets(tensors: Iterable[AnyTensor]) -> list[list[AnyTensor]]:
    """Returns the tensors in runs of one dtype and of about ``BUCKET_BYTES``."""
    found: list[list[AnyTensor]] = []
    room = 0
    for tensor in sorted(tensors, key=lambda tensor: str(tensor.dtype)):
        size = tensor.numel() * tensor.element_size()
        if not found or size > room or tensor.dtype != found[-1][0].dtype:
            found.append([])
            room = BUCKET_BYTES
        found[-1].append(tensor)
        room -= size
    return found


@torch.no_grad()
def _send(bucket: Sequence[nn.Parameter]) -> tuple[Tensor, Any]:
    """Returns the flat bucket, its gradients and a mark for each, and the work that sums it over the workers."""
    parts, marks = [], bucket[0].new_ones(len(bucket))
    for place, weight in enumerate(bucket):
        if weight.grad is None:
            marks[place] = 0
        parts.append(weight.new_zeros(weight.numel()) if weight.grad is None else weight.grad.reshape(-1))
    flat = torch.cat([*parts, marks])
    return flat, dist.all_reduce(flat, async_op=True)


@torch.no_grad()
def _receive(flat: Tensor, bucket: Sequence[nn.Parameter]) -> None:
    """Writes the sums of a flat bucket into its gradients; on a GPU it waits only for marks that are in doubt."""
    *sums, marks = flat.split([*(weight.numel() for weight in bucket), len(bucket)])
    for weight, total, mark in zip(bucket, sums, marks, strict=True):
        if weight.grad is None and mark:
            weight.grad = torch.empty_like(weight)
        if weight.grad is not None:
            weight.grad.copy_(total.view_as(weight))
