"""The sum of the workers' gradients, on its way while the backward pass still runs.

Differs from ``DistributedDataParallel`` on purpose: a worker runs several groups a step and sends their gradient once;
the layout of the buckets follows from the trained weights alone (DDP rebuilds its own after the first step, which
changes the order of sums of a resumed run on three workers and more), and no wrapper ends up in saved names. As there,
a gradient is a view of its bucket once it was sent, and lies as its weight does: nothing is turned or copied back.
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
        self.buckets = [Bucket(weights) for weights in buckets(reversed([*trained]))] if size > 1 else []

    def backward(self, loss: Tensor) -> None:
        """Runs the last backward pass of a step; afterwards each gradient is its sum over all groups and workers.

        A bucket is sent as soon as it is complete and those before it are sent; what a pass leaves incomplete, for
        there are weights that it does not reach, follows after it. An error in the pass reaches the caller once the
        buckets sent until then have arrived.
        """
        if self.size == 1:
            loss.backward()
            return
        missing: list[set[Tensor]] = [set(bucket.weights) for bucket in self.buckets]
        sent: list[Any] = []

        def complete(number: int, weight: Tensor) -> None:
            missing[number].remove(weight)  # raises if it changes again, as its bucket may be gone
            while len(sent) < len(missing) and not missing[len(sent)]:
                sent.append(self.buckets[len(sent)].send())

        try:
            with ExitStack() as hooks:
                for number, bucket in enumerate(self.buckets):
                    for weight in bucket.weights:
                        hook = weight.register_post_accumulate_grad_hook(partial(complete, number))
                        hooks.callback(hook.remove)
                loss.backward()
            sent += [bucket.send() for bucket in self.buckets[len(sent) :]]
        except Exception:
            for work in sent:
                with suppress(RuntimeError):  # the other workers may be gone; this error says more
                    work.wait()
            raise
        for bucket, work in zip(self.buckets, sent, strict=True):
            work.wait()
            bucket.receive()


class Bucket:
    """The gradients of ``weights`` side by side, and after them a mark for each weight that has one."""

    def __init__(self, weights: Sequence[nn.Parameter]) -> None:
        self.weights = weights
        sizes = [weight.numel() for weight in weights]
        self.flat = weights[0].new_zeros(sum(sizes) + len(weights))
        *parts, self.marks = self.flat.split([*sizes, len(weights)])
        self.views = [part.as_strided(w.shape, w.stride()) for part, w in zip(parts, weights, strict=True)]

    @torch.no_grad()
    def send(self) -> Any:
        """Takes the gradients in, and returns the work that sums them over the workers."""
        self.marks.fill_(1)
        for weight, view, mark in zip(self.weights, self.views, self.marks, strict=True):
            if weight.grad is None:
                view.zero_()
                mark.zero_()
        if found := gradients(self.weights):
            there = [view for weight, view in zip(self.weights, self.views, strict=True) if weight.grad is not None]
            torch._foreach_copy_(there, found)
        return dist.all_reduce(self.flat, async_op=True)

    def receive(self) -> None:
        """Makes the sums the gradients; on a GPU it waits only for marks that are in doubt."""
        for weight, view, mark in zip(self.weights, self.views, self.marks, strict=True):
            if weight.grad is not None or mark:
                weight.grad = view


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
