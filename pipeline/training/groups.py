"""Groups: what one GPU saw in the paper, kept apart from how many workers there are.

BatchNorm statistics and in-batch mining belong to a group; running statistics follow group 0, whose are saved by
data-parallel references: DataParallel keeps those of its first replica, and fast-reid c9bc3ce, where each rank has its
own (``broadcast_buffers=False``), saves the model of rank 0. A worker runs its groups one after the other, or several
in one pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

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


def passes(groups: Sequence[int], at_once: int) -> list[Sequence[int]]:
    """Returns the groups ``at_once`` of which, or as many as are left, make each pass."""
    return [groups[first : first + at_once] for first in range(0, len(groups), at_once)]


@contextmanager
def batch_statistics_of(groups: Sequence[int], module: nn.Module) -> Iterator[None]:
    """Within it BatchNorm layers in training mode keep groups apart that are one after the other in a batch.

    Each group, an equal part of what a layer sees, is normalised by its own statistics; running statistics move for
    group 0 only.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    if len(groups) > 1:
        for layer in layers:
            # The same object in every step: what torch.compile made of a network is for these very functions.
            by_groups = vars(layer).setdefault("forward_apart", {})
            layer.__dict__["forward"] = by_groups.setdefault(
                tuple(groups), partial(_normalise_apart, layer, tuple(groups))
            )
    elif groups[0] != 0:
        for layer in layers:
            layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)
            layer.track_running_stats = True


def _normalise_apart(layer: _BatchNorm, groups: Sequence[int], maps: Tensor) -> Tensor:
    """Returns ``maps`` ``[groups * B, ...]``, each group of which has gone through the layer alone."""
    usual = partial(type(layer).forward, layer)
    if not layer.training:
        return usual(maps)
    if len(maps) % len(groups):
        raise ValueError(f"{len(maps)} maps are no {len(groups)} groups of one size: run one group at once")
    found, tracks = [], layer.track_running_stats
    for group, part in zip(groups, maps.chunk(len(groups)), strict=True):
        layer.track_running_stats = tracks and group == 0
        found.append(usual(part))
    layer.track_running_stats = tracks
    return torch.cat(found)


def random_layers(module: nn.Module) -> list[str]:
    """Returns the layers that draw random numbers in training, by name."""
    return [name for name, layer in module.named_modules() if isinstance(layer, _DropoutNd) and layer.p > 0]


def split_groups(output: Any, count: int) -> list[Any]:
    """Returns what ``Method.run_network`` made of ``count`` groups in one pass, group by group."""
    if isinstance(output, Tensor):
        return list(output.chunk(count))
    if output is None or count == 1:
        return [output] * count
    if is_dataclass(output) and not isinstance(output, type):
        by_name = split_groups({field.name: getattr(output, field.name) for field in fields(output)}, count)
        return [replace(output, **values) for values in by_name]
    if isinstance(output, dict):
        split = {name: split_groups(value, count) for name, value in output.items()}
        return [{name: parts[group] for name, parts in split.items()} for group in range(count)]
    if isinstance(output, tuple):
        return list(zip(*(split_groups(value, count) for value in output), strict=True))
    kind = type(output).__name__
    raise TypeError(f"run_network: expected tensors in dataclasses, dictionaries or tuples, got {kind}")
