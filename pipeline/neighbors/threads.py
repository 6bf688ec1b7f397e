"""Compiled kernels over ranges of rows, in as many threads as torch uses."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch

RANGES_PER_THREAD = 4  # so that a thread that was held up leaves its share to the others


def over_rows(kernel: Callable[..., Any], num_rows: int, *arguments: Any, rows_at_once: int | None = None) -> None:
    """Ensures that ``kernel(start, stop, *arguments)`` has run for every row of ``num_rows``, once.

    The kernel is compiled with ``nogil=True`` and writes only what belongs to the rows of its range, each by a rule
    that does not look at the range: so results depend neither on ``rows_at_once`` nor on the number of threads,
    which is ``torch.get_num_threads()``. What a kernel raises is raised here.
    """
    threads = torch.get_num_threads()
    step = rows_at_once or max(1, math.ceil(num_rows / (threads * RANGES_PER_THREAD if threads > 1 else 1)))
    starts = range(0, num_rows, step)

    def run(start: int) -> None:
        kernel(start, min(start + step, num_rows), *arguments)

    if threads == 1 or len(starts) == 1:
        for start in starts:
            run(start)
    else:
        list(_pool(threads, os.getpid()).map(run, starts))


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Returns the pool of this process; a forked one has none of its parent's threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"rows-{process}")
