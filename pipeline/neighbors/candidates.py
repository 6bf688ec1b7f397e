"""Of every row, the columns that may be among its k smallest, gathered from rough tiles in one pass.

Let ``limit`` be the k-th smallest rough distance seen so far plus twice the margin. k columns are exactly nearer than
the limit less one margin, and a column roughly beyond the limit is exactly farther than that: it is not among the k
smallest, whichever way ties go. So what stands at the limit or before is kept, and the limit falls as tiles come in.
Where more columns stand within it than there is room for (many duplicates), the row is given up as unclear.

Two collections of one interface: ``Candidates`` in compiled loops over a tile in memory, ``CandidatesByTorch`` in
torch operations on the tile's device. They may give up different rows, and keep a few different columns beyond need.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from pipeline.neighbors.space import Space
from pipeline.neighbors.threads import over_rows

SPARE = 64  # places beyond those needed: room for columns that stand near the limit
CHUNK = 32  # columns that are compared before any of them is looked at


class Kept(NamedTuple):
    """The candidates of N rows in the order they came: ``counts`` [N] of ``capacity`` places are in use.

    A row that was given up has count -1, and a limit that nothing passes.
    """

    values: np.ndarray  # float32 [N, capacity]
    columns: np.ndarray  # int32 [N, capacity]
    counts: np.ndarray  # int64 [N]
    limits: np.ndarray  # float32 [N]
    margins: np.ndarray  # float64 [N]


class Candidates:
    """Candidates in memory; see the module.

    Args:
        space: what the tiles come from.
        k: how many of the smallest are wanted of every row.
        sign: 1 for the nearest; -1 for the farthest, which are the smallest negative distances.
    """

    def __init__(self, space: Space, k: int, sign: int) -> None:
        num_rows, num_columns = len(space.query), len(space.gallery)
        shape = num_rows, min(2 * k + SPARE, num_columns)
        self.k, self.sign = k, np.float32(sign)
        counts, limits = np.zeros(num_rows, dtype=np.int64), np.full(num_rows, np.inf, dtype=np.float32)
        self.kept = Kept(np.empty(shape, np.float32), np.empty(shape, np.int32), counts, limits, space.margin)

    def add(self, tile: Tensor, rows: slice, columns: slice) -> None:
        """Takes in the rough distances [R, C] of ``rows`` to ``columns``, each pair once."""
        over_rows(_add_rows, len(tile), tile.numpy(), rows.start, columns.start, self.sign, self.k, self.kept)

    def add_transposed(self, tile: Tensor, columns: slice, rows: slice) -> None:
        """Takes in the rough distances [C, R] of ``columns`` to ``rows``."""
        num_rows = tile.shape[1]
        over_rows(_add_columns, num_rows, tile.numpy(), columns.start, rows.start, self.sign, self.k, self.kept)

    def of(self, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns pairs of rows [P], rising, and columns [P], int64, and the rows that were given up."""
        first, counts = rows.start, self.kept.counts[rows]
        over_rows(_drop_beyond_limits, len(counts), first, self.k, self.kept)
        owners, places = np.nonzero(np.arange(self.kept.columns.shape[1]) < counts[:, None])
        return (
            first + owners,
            self.kept.columns[rows][owners, places].astype(np.int64),
            first + np.flatnonzero(counts < 0),
        )


class CandidatesByTorch:
    """Candidates on the device of the tiles; see the module and ``Candidates``."""

    def __init__(self, space: Space, k: int, sign: int) -> None:
        device, shape = space.query.device, (len(space.query), min(k + SPARE, len(space.gallery)))
        self.k, self.sign, self.is_everything = k, sign, shape[1] == len(space.gallery)
        self.values = torch.full(shape, torch.inf, device=device)
        self.columns = torch.zeros(shape, dtype=torch.int64, device=device)
        self.margins = torch.from_numpy(space.margin).to(device)

    def add(self, tile: Tensor, rows: slice, columns: slice) -> None:
        """Keeps the smallest of what stands there and of the rough distances [R, C] of ``rows`` to ``columns``."""
        width = self.values.shape[1]
        values, places = (self.sign * tile).topk(min(width, tile.shape[1]), largest=False)
        values, numbers = torch.cat([self.values[rows], values], 1), places + columns.start
        numbers = torch.cat([self.columns[rows], numbers], 1)
        self.values[rows], places = values.topk(width, largest=False)
        self.columns[rows] = numbers.gather(1, places)

    def add_transposed(self, tile: Tensor, columns: slice, rows: slice) -> None:
        """Takes in the rough distances [C, R] of ``columns`` to ``rows``."""
        self.add(tile.T, rows, columns)

    def of(self, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns pairs of rows [P], rising, and columns [P], int64, and the rows that were given up.

        What was dropped is not smaller than anything kept; so nothing is missing where something beyond the limit is.
        """
        values, first = self.values[rows].double(), rows.start
        limits = values.kthvalue(self.k, 1).values + 2 * self.margins[rows]
        is_unclear = (values.amax(1) <= limits) & (not self.is_everything)
        is_kept = (values <= limits[:, None]) & ~is_unclear[:, None]
        owners, columns = is_kept.nonzero()[:, 0], self.columns[rows][is_kept]
        return first + owners.cpu().numpy(), columns.cpu().numpy(), first + is_unclear.nonzero()[:, 0].cpu().numpy()


@numba.njit(cache=True, nogil=True)
def _add_rows(start, stop, tile, first_row, first_column, sign, k, kept):  # type: ignore[no-untyped-def]
    for row in range(start, stop):
        owner = first_row + row
        if kept.counts[owner] == 0 and tile.shape[1] >= k:
            _set_limit(owner, sign * tile[row], k, kept)
        for left in range(0, tile.shape[1], CHUNK):
            values, limit = tile[row, left : left + CHUNK], kept.limits[owner]
            is_near = False
            for place in range(values.size):
                is_near |= sign * values[place] <= limit
            if is_near:
                for place in range(values.size):
                    if sign * values[place] <= kept.limits[owner]:
                        _push(sign * values[place], owner, first_column + left + place, k, kept)


@numba.njit(cache=True, nogil=True)
def _add_columns(start, stop, tile, first_row, first_column, sign, k, kept):  # type: ignore[no-untyped-def]
    """Adds the rows of the tile to its columns, a few columns at a time: their candidates stay at hand."""
    for left in range(start, stop, CHUNK):
        right = min(left + CHUNK, stop)
        limits = kept.limits[first_column + left : first_column + right]
        for row in range(tile.shape[0]):
            values = tile[row, left:right]
            is_near = False
            for place in range(values.size):
                is_near |= sign * values[place] <= limits[place]
            if is_near:
                for place in range(values.size):
                    if sign * values[place] <= limits[place]:
                        _push(sign * values[place], first_column + left + place, first_row + row, k, kept)


@numba.njit(cache=True, nogil=True)
def _push(value, row, column, k, kept):  # type: ignore[no-untyped-def]
    """Puts a column within the limit of a row among its candidates."""
    capacity = kept.values.shape[1]
    if kept.counts[row] == capacity:
        _prune(row, k, kept)
        if kept.counts[row] > capacity - (capacity - k) // 4:  # next time would come too soon
            kept.counts[row], kept.limits[row] = -1, -np.inf
        if value > kept.limits[row]:
            return
    place = kept.counts[row]
    kept.values[row, place], kept.columns[row, place] = value, column
    kept.counts[row] = place + 1


@numba.njit(cache=True, nogil=True)
def _set_limit(row, values, k, kept):  # type: ignore[no-untyped-def]
    limit = _kth_smallest(values, k) + 2 * kept.margins[row]
    kept.limits[row] = limit + abs(limit) * 2.0**-23  # not less, when rounded to float32


@numba.njit(cache=True, nogil=True)
def _kth_smallest(values, k):  # type: ignore[no-untyped-def]
    """Returns it by a heap of the k smallest so far, largest on top, which most values are not to enter."""
    heap = values[:k].copy()
    for place in range(k // 2 - 1, -1, -1):
        _sink(heap, place, heap[place])
    for place in range(k, values.size):
        if values[place] < heap[0]:
            _sink(heap, 0, values[place])
    return heap[0]


@numba.njit(cache=True, nogil=True)
def _sink(heap, place, value):  # type: ignore[no-untyped-def]
    """Puts a value at a place of the heap or below, larger ones above it."""
    child = 2 * place + 1
    while child < heap.size:
        if child + 1 < heap.size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= value:
            break
        heap[place] = heap[child]
        place, child = child, 2 * child + 1
    heap[place] = value


@numba.njit(cache=True, nogil=True)
def _prune(row, k, kept):  # type: ignore[no-untyped-def]
    """Lowers the limit to what is known by now, and drops the candidates beyond it."""
    values, columns, count = kept.values[row], kept.columns[row], kept.counts[row]
    _set_limit(row, values[:count], k, kept)
    left = 0
    for place in range(count):
        if values[place] <= kept.limits[row]:
            values[left], columns[left] = values[place], columns[place]
            left += 1
    kept.counts[row] = left


@numba.njit(cache=True, nogil=True)
def _drop_beyond_limits(start, stop, first_row, k, kept):  # type: ignore[no-untyped-def]
    for row in range(first_row + start, first_row + stop):
        if kept.counts[row] > k:
            _prune(row, k, kept)
