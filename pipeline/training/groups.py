"""Groups: what one GPU saw in the paper, kept apart from how many workers there are.

BatchNorm statistics and in-batch mining belong to a group; running statistics follow group 0, as data-parallel
references do (they broadcast rank 0's buffers). A worker runs its groups one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pipeline.training.workers import Workers


def owned_groups(groups: int, workers: Workers) -> range:
    """Returns the groups that this worker runs: consecutive ones, the same number for each worker.

    Raises:
        ValueError: when the workers cannot share the groups evenly, naming the counts that can.
    """
    if groups % workers.size:
        allowed = ", ".join(str(count) for count in range(1, groups + 1) if groups % count == 0)
        raise ValueError(
            f"{workers.size} workers cannot share {groups} groups evenly; use one of {allowed} workers, "
            "or another number of groups (which is another experiment: groups change results, workers do not)"
        )
    each = groups // workers.size
    return range(workers.rank * each, (workers.rank + 1) * each)


@contextmanager
def batch_statistics_of(group: int, module: nn.Module) -> Iterator[None]:
    """Within it, BatchNorm layers in training mode move their running statistics for group 0 only."""
    if group == 0:
        yield
        return
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True
