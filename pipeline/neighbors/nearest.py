"""The exact k nearest neighbours of embeddings, without a matrix of all distances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipeline.neighbors.candidates import Candidates, CandidatesByTorch
from pipeline.neighbors.space import Space

PAIRS_AT_ONCE = 1 << 20  # of exact distances

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Neighbors:
    """The k nearest gallery rows of N rows, nearest first; among equally near ones the lower row goes first.

    Attributes:
        rows: int32 ``[N, k]``. Where query and gallery are one set, a row is among its own neighbours, at distance 0.
        compared: float64 ``[N, k]``, by what rows are told apart: cosine distances, or the squares of Euclidean ones.
        metric: ``cosine`` or ``euclidean``.
        farthest_compared: float64 ``[N]``, the same of the farthest gallery row; None unless it was asked for.
    """

    rows: np.ndarray
    compared: np.ndarray
    metric: str
    farthest_compared: np.ndarray | None = None

    @property
    def distances(self) -> np.ndarray:
        """The distances, float64 ``[N, k]``. Roots of different squares may be equal."""
        return np.sqrt(self.compared) if self.metric == "euclidean" else self.compared

    @property
    def farthest(self) -> np.ndarray | None:
        """The distance to the farthest gallery row, float64 ``[N]``; None unless it was asked for."""
        far = self.farthest_compared
        return np.sqrt(far) if far is not None and self.metric == "euclidean" else far


def find_nearest(
    features: Any,
    k: int,
    *,
    gallery: Any = None,
    metric: str,
    farthest: bool = False,
    block_size: int = 2048,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> Neighbors:
    """Returns the ``k`` nearest rows of ``gallery`` [G, D] for each row of ``features`` [N, D], and their distances.

    The same in every bit for any ``block_size``, device and number of threads: float32 products of tiles only find
    candidates, within a proved margin, and these are measured and sorted by the exact distances of ``Space``. Rows with
    more near-duplicates than candidates are kept of are measured against the whole gallery instead, which is exact as
    well but slow: about 0.5 us per pair, N x G pairs where all embeddings are equal. Cost otherwise: the matrix
    product, half of it where one set is compared with itself, and N x k exact distances.

    Args:
        features: array, tensor or lists, taken in float32: see ``as_features``.
        k: from 1 to the number of gallery rows.
        gallery: as ``features``; None compares ``features`` with itself and computes each tile for both of its sides.
        metric: ``cosine`` (1 - cos, in [0, 2]) or ``euclidean``. What is compared are the squares of the latter.
        farthest: whether to find the distance to the farthest gallery row as well.
        block_size: rows and columns of a tile; memory beside features and result is ``block_size ** 2 * 4`` bytes and
            ``(2 k + 64) * 8`` bytes a row.
        device: where products are computed.
        progress: called with the numbers of tiles done and of all tiles.

    Raises:
        ValueError: as ``Space``; for k and a block size out of range.
    """
    both = features, features if gallery is None else gallery
    space = Space(*both, metric, device, names=("features", "gallery"))
    return nearest_in(space, k, farthest=farthest, block_size=block_size, progress=progress)


def nearest_in(
    space: Space, k: int, *, farthest: bool = False, block_size: int = 2048, progress: Progress | None = None
) -> Neighbors:
    """Returns ``find_nearest`` of the two sides of a space."""
    if not 1 <= k <= len(space.gallery):
        raise ValueError(f"k: expected 1 to {len(space.gallery)}, the number of gallery rows, got {k}")
    if block_size < 1:
        raise ValueError(f"block_size: expected at least 1 row, got {block_size}")
    collection = Candidates if space.query.device.type == "cpu" else CandidatesByTorch
    return _search(space, k, farthest, block_size, progress, collection)


def _search(
    space: Space,
    k: int,
    farthest: bool,
    block_size: int,
    progress: Progress | None,
    collection: type[Candidates] | type[CandidatesByTorch],
) -> Neighbors:
    num_columns = len(space.gallery)
    near = collection(space, k, sign=1)
    far = collection(space, 1, sign=-1) if farthest else None
    tiles = [
        (rows, columns)
        for rows in _slices(len(space.query), block_size)
        for columns in _slices(num_columns, block_size, start=rows.start if space.is_one_set else 0)
    ]
    if space.is_one_set:
        tiles.sort(key=lambda tile: tile[0] != tile[1])  # the diagonal first: it gives all rows a limit
    buffer = torch.empty(min(block_size, len(space.query)) * min(block_size, num_columns), device=space.query.device)
    for done, (rows, columns) in enumerate(tiles, start=1):
        tile = space.rough(rows, columns, buffer)
        for candidates in (near, far) if far else (near,):
            candidates.add(tile, rows, columns)
            if space.is_one_set and rows != columns:
                candidates.add_transposed(tile, rows, columns)
        if progress:
            progress(done, len(tiles))
    neighbors, compared = _settle(space, near, k, sign=1)
    return Neighbors(neighbors, compared, space.metric, _settle(space, far, 1, sign=-1)[1][:, 0] if far else None)


def _slices(stop: int, size: int, start: int = 0) -> list[slice]:
    return [slice(first, min(first + size, stop)) for first in range(start, stop, size)]


def _settle(
    space: Space, candidates: Candidates | CandidatesByTorch, k: int, sign: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns of every row the k columns of smallest ``sign * distance``, int32, and these distances, float64."""
    num_rows, num_columns = len(space.query), len(space.gallery)
    rows, distances = np.empty((num_rows, k), dtype=np.int32), np.empty((num_rows, k))
    for block in _slices(num_rows, max(1, PAIRS_AT_ONCE // (2 * k))):
        owners, columns, unclear = candidates.of(block)
        starts = np.searchsorted(owners, np.arange(block.start, block.stop + 1))
        size = block.stop - block.start, max(k, np.diff(starts).max())
        measured, found = np.full(size, np.inf), np.zeros(size, dtype=np.int32)
        cells = owners - block.start, np.arange(len(owners)) - starts[owners - block.start]
        measured[cells], found[cells] = sign * space.exact(owners, columns), columns
        rows[block], distances[block] = _smallest(measured, found, k)
        for few in np.array_split(unclear, -(-len(unclear) * num_columns // PAIRS_AT_ONCE) or 1):
            rows[few], distances[few] = _smallest(*_measure_all(space, few, sign), k)
    return rows, sign * distances


def _smallest(measured: np.ndarray, columns: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the columns of the k smallest of each row, the lower column first where they are equal, and these k."""
    order = np.lexsort((columns, measured), axis=1)[:, :k]
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(measured, order, axis=1)


def _measure_all(space: Space, rows: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns ``sign * distance`` of few rows to all columns [R, G], and the columns."""
    columns = np.arange(len(space.gallery))
    pairs = np.tile(rows, len(columns)), np.repeat(columns, len(rows))  # a gallery row serves all rows while it is near
    measured = sign * space.exact(*pairs).reshape(len(columns), len(rows)).T
    return measured, np.broadcast_to(columns.astype(np.int32), measured.shape)
