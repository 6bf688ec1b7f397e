"""The processes that train together, and the few things they say to each other; gradients: see ``reduction``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from pipeline.training.reduction import buckets

Value = TypeVar("Value")


@dataclass(frozen=True)
class Workers:
    """This process' place among those that train together."""

    rank: int
    size: int

    @staticmethod
    def current() -> Workers:
        """Returns the place in torch's default process group; one worker where there is none."""
        if dist.is_available() and dist.is_initialized():
            return Workers(dist.get_rank(), dist.get_world_size())
        return Workers(0, 1)

    @property
    def is_first(self) -> bool:
        """Whether this is the worker that writes."""
        return self.rank == 0

    def all_reduce_sum(self, tensor: Tensor) -> None:
        """Replaces the tensor by its sum over the workers."""
        if self.size > 1:
            dist.all_reduce(tensor)

    def broadcast_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Gives every worker the first one's values."""
        if self.size == 1:
            return
        for bucket in buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            dist.broadcast(flat, src=0)
            _spread(flat, bucket)

    def all_gather(self, part: Tensor) -> Tensor:
        """Returns the workers' parts ``[B, ...]``, all of one shape, one after the other in the order of ranks."""
        if self.size == 1:
            return part
        parts = [torch.empty_like(part) for _ in range(self.size)]
        dist.all_gather(parts, part.contiguous())
        return torch.cat(parts)

    def check_equal(self, what: str, value: object) -> None:
        """Ensures that ``value`` is the same on every worker.

        Raises:
            ValueError: on all of them, with what each of them has.
        """
        if self.size == 1:
            return
        values: list[object] = [None] * self.size
        dist.all_gather_object(values, value)
        if any(other != values[0] for other in values):
            listed = ", ".join(f"worker {rank}: {other}" for rank, other in enumerate(values))
            raise ValueError(
                f"the workers differ in {what} ({listed}): all machines need the same GPUs, and the same data and run "
                "folders on a shared disk"
            )

    def run_on_first(self, compute: Callable[[], Value]) -> Value:
        """Returns what ``compute`` returns on the first worker, the only one that runs it.

        Raises:
            What it raised there, on every worker: else the others would wait for ever.
        """
        if self.size == 1:
            return compute()
        answer: list[tuple[Value | None, Exception | None]] = [(None, None)]
        if self.is_first:
            try:
                answer = [(compute(), None)]
            except Exception as error:
                answer = [(None, error)]
        dist.broadcast_object_list(answer, src=0)
        value, failure = answer[0]
        if failure is not None:
            raise failure
        return value  # type: ignore[return-value]

    def barrier(self) -> None:
        """Returns once all workers are here."""
        if self.size > 1:
            dist.barrier()


@torch.no_grad()
def _spread(flat: Tensor, bucket: Sequence[Tensor]) -> None:
    """Writes a flat bucket back into its tensors."""
    sizes = [tensor.numel() for tensor in bucket]
    for tensor, values in zip(bucket, flat.split(sizes), strict=True):
        tensor.copy_(values.view_as(tensor))
