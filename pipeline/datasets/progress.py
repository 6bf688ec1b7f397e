"""The same work on many items: in threads, in order, with progress that a person can read."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

CHUNK = 256
BATCH = 16
"""Items that a thread takes at once where there are many: handing out one costs as much as hashing an image."""
SECONDS_BETWEEN_LINES = 5.0


def in_threads(make: Callable[[Item], Made], items: Sequence[Item], *, workers: int, what: str) -> list[Made]:
    """Returns ``make(item)`` for every item in order; work of some seconds tells stderr how far it is."""

    def make_all(batch: Sequence[Item]) -> list[Made]:
        return [make(item) for item in batch]

    made: list[Made] = []
    begun = spoken = time.monotonic()
    size = BATCH if len(items) >= workers * CHUNK else 1
    with ThreadPoolExecutor(workers) as threads:
        for start in range(0, len(items), CHUNK):
            stop = min(start + CHUNK, len(items))
            batches = [items[place : min(place + size, stop)] for place in range(start, stop, size)]
            for batch in threads.map(make_all, batches):
                made.extend(batch)
            now = time.monotonic()
            if now - spoken > SECONDS_BETWEEN_LINES:
                rate = len(made) / (now - begun)
                left = (len(items) - len(made)) / rate
                print(f"{what}: {len(made)} of {len(items)}, {rate:.0f}/s, {left:.0f} s left", file=sys.stderr)
                spoken = now
    return made
