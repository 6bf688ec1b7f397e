"""The same work on many items: in threads, in order, with progress that a person can read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pipeline.progress import ProgressLine

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 256
BATCH = 16
"""Items that a thread takes at once where there are many: handing out one costs as much as hashing an image."""


def in_threads(make: Callable[[Item], Result], items: Sequence[Item], *, workers: int, what: str) -> list[Result]:
    """Returns ``make(item)`` for every item in order; work of some seconds tells stderr how far it is."""

    def make_all(batch: Sequence[Item]) -> list[Result]:
        return [make(item) for item in batch]

    made: list[Result] = []
    progress = ProgressLine(what)
    size = BATCH if len(items) >= workers * CHUNK else 1
    with ThreadPoolExecutor(workers) as threads:
        for start in range(0, len(items), CHUNK):
            stop = min(start + CHUNK, len(items))
            batches = [items[place : min(place + size, stop)] for place in range(start, stop, size)]
            for batch in threads.map(make_all, batches):
                made.extend(batch)
            progress(len(made), len(items))
    return made
