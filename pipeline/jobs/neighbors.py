"""Exact nearest neighbours of embeddings in a file, by all workers: those of ``pipeline.neighbors.nearest``.

They are the same in every bit. On the cluster of ``RAY_ADDRESS``, whose nodes all see the file at its path, or on this
machine's cores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import ray
from ray.exceptions import RayTaskError

from pipeline.inputs import open_array
from pipeline.jobs.blocks import Piece, pieces_between, pieces_within
from pipeline.neighbors.nearest import Neighbors, Progress, find_nearest

ROWS_AT_ONCE = 65536
PIECES_PER_CORE = 2  # that are under way or done and not yet taken in


def find_nearest_over_ray(
    features: Path,
    k: int,
    *,
    gallery: Path | None = None,
    metric: str,
    rows_at_once: int = ROWS_AT_ONCE,
    progress: Progress | None = None,
) -> Neighbors:
    """Returns what ``find_nearest`` does, in every bit, without the farthest; on the Ray instance that is connected.

    A piece of the work is a task that reads its rows from the file and finds the k nearest among them; here they are
    merged as they come. Tasks of a node that is lost are done again.

    Memory, for D numbers a row: of a worker ``rows_at_once * (4 D + 8 (2 k + 64))`` bytes and 17 MB for a tile; of this
    process and the object store ``12 k`` bytes for each row of the whole and for each row of the pieces under way.

    Args:
        features: a .npy file of float32 ``[N, D]``, at the same path on all nodes.
        k: from 1 to the number of gallery rows.
        gallery: as ``features``; None compares ``features`` with itself, at about half the cost.
        metric: ``cosine`` or ``euclidean``.
        rows_at_once: rows of a task, those of both sides together. More make the whole cheaper, see
            ``pipeline.jobs.blocks``.
        progress: called with the numbers of tasks done and of all tasks.

    Raises:
        ValueError: as ``find_nearest``, naming rows by their place among those of the task; for a file that holds no
            matrix.
    """
    files = features.absolute(), gallery.absolute() if gallery else None
    num_rows = len(_open(files[0]))
    num_columns = len(_open(files[1])) if files[1] else num_rows
    if not 1 <= k <= num_columns:
        raise ValueError(f"k: expected 1 to {num_columns}, the number of gallery rows, got {k}")
    pieces = pieces_between(num_rows, num_columns, rows_at_once) if gallery else pieces_within(num_rows, rows_at_once)
    rows, compared = np.full((num_rows, k), -1, dtype=np.int32), np.full((num_rows, k), np.inf)
    for done, (piece, near) in enumerate(_results(files, k, metric, pieces), start=1):
        places = indices(piece.rows)
        rows[places], compared[places] = merge(
            np.hstack([rows[places], near.rows]), np.hstack([compared[places], near.compared]), k
        )
        if progress:
            progress(done, len(pieces))
    return Neighbors(rows, compared, metric)


def merge(rows: np.ndarray, distances: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns of each line ``[N, M]`` the k nearest, the lower row first where distances are equal, each row once."""
    order = np.lexsort((rows, distances), axis=1)
    rows, distances = np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
    is_again = rows[:, 1:] == rows[:, :-1]
    rows[:, 1:][is_again], distances[:, 1:][is_again] = -1, np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)


def indices(blocks: Sequence[slice]) -> np.ndarray:
    """Returns the rows of some blocks, int32, in their order."""
    return np.concatenate([np.arange(block.start, block.stop, dtype=np.int32) for block in blocks])


def search_piece(files: tuple[Path, Path | None], k: int, metric: str, piece: Piece, device: str) -> Neighbors:
    """Returns for the rows of a piece the k nearest of its columns, as rows of the whole; fewer if it has fewer.

    Raises:
        ValueError: as ``find_nearest``, and naming the piece.
    """
    query = _read(_open(files[0]), piece.rows)
    columns = piece.rows if piece.columns is None else piece.columns
    gallery = None if piece.columns is None else _read(_open(files[1] or files[0]), piece.columns)
    numbers = indices(columns)
    try:
        found = find_nearest(query, min(k, len(numbers)), gallery=gallery, metric=metric, device=device)
    except ValueError as error:
        shown = ", ".join(f"{block.start} to {block.stop - 1}" for block in piece.rows)
        raise ValueError(f"{files[0]}, rows {shown}, counted from 0 among themselves: {error}") from None
    return Neighbors(numbers[found.rows], found.compared, metric)


def _results(
    files: tuple[Path, Path | None], k: int, metric: str, pieces: list[Piece]
) -> Iterator[tuple[Piece, Neighbors]]:
    """Yields pieces as they are done, with what was found."""
    there = ray.cluster_resources()
    gpus = int(there.get("GPU", 0))
    task = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0)(search_piece)
    under_way: dict[ray.ObjectRef, Piece] = {}
    waiting = list(reversed(pieces))
    while under_way or waiting:
        while waiting and len(under_way) < PIECES_PER_CORE * (gpus or int(there["CPU"])):
            piece = waiting.pop()
            under_way[task.remote(files, k, metric, piece, "cuda" if gpus else "cpu")] = piece
        (done,), _ = ray.wait(list(under_way))
        try:
            yield under_way.pop(done), ray.get(done)
        except RayTaskError as error:
            raise error.cause from None


def _open(file: Path) -> np.ndarray:
    matrix = open_array(file)
    if matrix.ndim != 2:
        raise ValueError(f"{file}: expected embeddings [rows, columns], got {list(matrix.shape)}")
    return matrix


def _read(matrix: np.ndarray, blocks: Sequence[slice]) -> np.ndarray:
    return np.concatenate([matrix[block] for block in blocks])
