"""A row of the table, what it must reach, and how its seconds and its memory are taken."""

from __future__ import annotations

import gc
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import psutil
import torch

QUICK = 40  # by how much sizes are smaller


@dataclass(frozen=True)
class Row:
    """A line of the table; ``met`` says whether ratio and memory, or seconds, are within the target."""

    work: str
    ours_s: float
    floor_s: float
    ratio: float
    added_gib: float
    target: str
    met: bool


@dataclass(frozen=True)
class Target:
    """At most ``ratio`` times the ``floor``, ``gib`` of added memory and ``seconds``."""

    floor: str
    ratio: float = math.inf
    gib: float = math.inf
    seconds: float = math.inf

    def __str__(self) -> str:
        parts = [f"<= {self.ratio:.3g} x {self.floor}" if self.ratio < math.inf else f"beside {self.floor}"]
        parts += [f"+ <= {self.gib} GiB"] if self.gib < math.inf else []
        parts += [f"<= {self.seconds} s"] if self.seconds < math.inf else []
        return ", ".join(parts)


class Pair(NamedTuple):
    """What is timed; a floor of equal blocks may do a ``share`` of them only, and counts for all."""

    ours: Callable[[], Any]
    floor: Callable[[], Any]
    share: float = 1.0


@dataclass(frozen=True)
class Case:
    """One row to be: ``prepare(device, **sizes, **settings)`` returns what is timed."""

    name: str
    target: Target
    prepare: Callable[..., Pair]
    sizes: dict[str, int]
    settings: dict[str, Any]

    def run(self, device: str, is_quick: bool) -> Row:
        """Returns the row, measured in this process."""
        small = {name: max(8, size // QUICK) for name, size in self.sizes.items()}
        warm = self.prepare(device, **small, **self.settings)
        warm.ours(), warm.floor()
        sizes = small if is_quick else self.sizes
        ours_s, floor_s, gib = measure(self.prepare(device, **sizes, **self.settings), device)
        ratio = ours_s / floor_s
        met = ratio <= self.target.ratio and gib <= self.target.gib and ours_s <= self.target.seconds
        work = f"{self.name} ({', '.join(f'{size:,} {name}' for name, size in sizes.items())})"
        return Row(work, round(ours_s, 4), round(floor_s, 4), round(ratio, 4), round(gib, 3), str(self.target), met)


def measure(pair: Pair, device: str) -> tuple[float, float, float]:
    """Returns the seconds of the quickest run of each, and the GiB that the first of ours took at its highest.

    They take turns, three times or until ten seconds are over, so that a busy machine slows both.
    """
    gc.collect()
    begun = time.perf_counter()
    with HighWater(device) as memory:
        first = timed(pair.ours, device)
    times = [(first, timed(pair.floor, device))]
    while len(times) < 3 and time.perf_counter() - begun < 10:
        times.append((quickest(pair.ours, device), quickest(pair.floor, device)))
    ours_s, floor_s = (min(column) for column in zip(*times, strict=True))
    return ours_s, floor_s / pair.share, memory.added / 2**30


def quickest(work: Callable[[], Any], device: str) -> float:
    """Returns the seconds of the quickest of as many runs as fit into half a second, of one at least."""
    begun, seconds = time.perf_counter(), [timed(work, device)]
    while time.perf_counter() - begun < 0.5:
        seconds.append(timed(work, device))
    return min(seconds)


def timed(work: Callable[[], Any], device: str) -> float:
    begun = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


class HighWater:
    """Within it, looks at the memory in use every two milliseconds (of a GPU: as torch counts it)."""

    def __init__(self, device: str) -> None:
        self.device, self.added = device, 0
        self._process, self._end = psutil.Process(), threading.Event()

    def __enter__(self) -> HighWater:
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            self._before = self._process.memory_info().rss
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._end.wait(0.002):
            self.added = max(self.added, self._process.memory_info().rss - self._before)

    def __exit__(self, *_: object) -> None:
        if self.device == "cuda":
            self.added = torch.cuda.max_memory_allocated() - self._before
        else:
            self._end.set()
            self._thread.join()
