"""Finds exact nearest neighbours of embeddings, by all workers.

reads    a .npy file, float32 [N, D]
writes   rows.npy (int64 [N, k]) and distances.npy (float32 [N, k]) in --out

Runs on the cluster of RAY_ADDRESS, whose nodes all see the file at its path, or on the cores of this machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds whose neighbours to find, and how."""
    parser.add_argument("embeddings", type=Path, help="a .npy file, float32 [N, D]")
    parser.add_argument("--gallery", type=Path, help="where to look (default: among the embeddings themselves)")
    parser.add_argument("--k", type=int, required=True, help="how many neighbours; a row is its own first one")
    metrics = ("cosine", "euclidean")
    parser.add_argument("--metric", choices=metrics, default="cosine", help="default: cosine")
    parser.add_argument("--rows-at-once", type=int, help="of a task; memory grows with it")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")


def run(given: argparse.Namespace) -> None:
    """Finds the neighbours that the command line asks for."""
    import numpy as np

    from pipeline.inputs import open_array
    from pipeline.jobs.neighbors import ROWS_AT_ONCE, find_nearest_over_ray
    from pipeline.jobs.resources import ONE_WORKER, connected
    from pipeline.progress import ProgressLine

    for file in filter(None, (given.embeddings, given.gallery)):
        open_array(file)
    with connected(ONE_WORKER, groups=1):
        found = find_nearest_over_ray(
            given.embeddings,
            given.k,
            gallery=given.gallery,
            metric=given.metric,
            rows_at_once=given.rows_at_once or ROWS_AT_ONCE,
            progress=ProgressLine("neighbours"),
        )
    given.out.mkdir(parents=True, exist_ok=True)
    np.save(given.out / "rows.npy", found.rows)
    np.save(given.out / "distances.npy", found.distances)
    print(f"{found.rows.shape[1]} neighbours of {len(found.rows)} rows: {given.out}")
