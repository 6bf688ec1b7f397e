"""What the exact neighbours of a million images cost over Ray: a task is measured, and all of them are counted.

A task of ``pipeline.jobs.neighbors`` reads its rows, searches among them and hands the neighbours back. One is run here
at its full size in a process of its own, with one thread, as Ray gives it one core; then its result is merged into that
of the whole, as the submitting process does for each. Nothing else depends on the number of images. Seconds are those
of a processor, which other work on the machine does not change much. Embeddings are those of
``kernel_cases.synthetic_embeddings``, 17 images of a person on average.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from kernel_cases.synthetic_embeddings import COLUMNS, training_set

from pipeline.jobs.blocks import Piece, pieces_within
from pipeline.jobs.neighbors import merge, search_piece

WARM = 256
MIB, GIB = 2**20, 2**30


class Cost(NamedTuple):
    """Of one task: the seconds of its worker and of the merge, and the worker's memory at its highest, in bytes."""

    task_s: float
    merge_s: float
    peak: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--rows-at-once", type=int, nargs="+", default=[16384, 32768, 65536], metavar="ROWS")
    given = parser.parse_args()
    print(f"{given.images:,} images, {COLUMNS} numbers each, k = {given.k}, a core for a task")
    print(
        "rows at once | tasks | a task, ms | its merge, ms | all tasks, core hours | all merges, h | worker's peak, GiB"
    )
    for rows_at_once in given.rows_at_once:
        pieces = pieces_within(given.images, rows_at_once)
        size = max(sum(block.stop - block.start for block in piece.rows) for piece in pieces)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            cost = process.submit(measure, size, given.k).result()
        print(
            f"{rows_at_once:12,} | {len(pieces):5,} | {1000 * cost.task_s:10,.0f} | {1000 * cost.merge_s:13,.0f} | "
            f"{len(pieces) * cost.task_s / 3600:21.1f} | {len(pieces) * cost.merge_s / 3600:13.2f} | "
            f"{cost.peak / GIB:18.2f}",
            flush=True,
        )
    print(f"the result: {given.images * given.k * 12 / MIB:,.0f} MiB")


def measure(size: int, k: int) -> Cost:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "embeddings.npy"
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            process.submit(write, file, size).result()  # so that making them up is no part of this process's peak
        search_piece((file, None), k, "cosine", Piece((slice(0, WARM),)), "cpu")
        merge(np.zeros((WARM, 2 * k), dtype=np.int32), np.zeros((WARM, 2 * k)), k)
        begun = time.process_time()
        found = search_piece((file, None), k, "cosine", Piece((slice(0, size),)), "cpu")
        searched = time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        before = np.full_like(found.rows, -1), np.full_like(found.compared, np.inf)
        merge(np.hstack([before[0], found.rows]), np.hstack([before[1], found.compared]), k)
        return Cost(searched - begun, time.process_time() - searched, peak)


def write(file: Path, size: int) -> None:
    np.save(file, training_set(size, max(1, size // 17)))


if __name__ == "__main__":
    main()
