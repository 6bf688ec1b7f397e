"""Sparse rows: a matrix of which each row holds few entries, as kernels write it and everyone else reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from scipy.sparse import csr_array

from pipeline.neighbors.threads import over_rows

ROWS_AT_ONCE = 512  # of one piece; what a kernel holds beside its result is one piece and one dense row per thread


@dataclass(frozen=True)
class SparseRows:
    """A matrix ``[N, num_columns]`` of which only some entries are stored; what the others stand for, its maker says.

    Row i is ``columns[starts[i]:starts[i + 1]]`` and the ``values`` at the same places.

    Attributes:
        starts: int64 ``[N + 1]``, from 0 to the number of entries.
        columns: int32 ``[entries]``, rising within each row.
        values: ``[entries]``, float32 unless said otherwise.
        num_columns: width of the matrix.
    """

    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    num_columns: int

    def __post_init__(self) -> None:
        if self.starts.dtype != np.int64 or self.columns.dtype != np.int32:
            raise ValueError(f"expected int64 starts and int32 columns, got {self.starts.dtype}, {self.columns.dtype}")
        if not len(self.starts) or not self.starts[-1] == len(self.columns) == len(self.values):
            raise ValueError(
                f"expected starts [N + 1] that end at the number of columns and of values, got {self.starts[-1:]}, "
                f"{len(self.columns)} and {len(self.values)}"
            )

    @property
    def num_rows(self) -> int:
        """Number of rows N, empty ones among them."""
        return len(self.starts) - 1

    def rows(self, start: int, stop: int) -> SparseRows:
        """Returns the rows from ``start`` up to ``stop``; columns and values are views."""
        part = slice(self.starts[start], self.starts[stop])
        return SparseRows(
            self.starts[start : stop + 1] - self.starts[start], self.columns[part], self.values[part], self.num_columns
        )

    def row_of_entries(self) -> np.ndarray:
        """Returns the row, int64 ``[entries]``, of every entry."""
        return np.repeat(np.arange(self.num_rows), np.diff(self.starts))

    def to_dense(self, missing: float) -> np.ndarray:
        """Returns the matrix ``[N, num_columns]`` with ``missing`` where nothing is stored: 1 for Jaccard distances.

        Needs N x num_columns numbers of memory: for small sets and tests.
        """
        dense = np.full((self.num_rows, self.num_columns), missing, dtype=self.values.dtype)
        dense[self.row_of_entries(), self.columns] = self.values
        return dense

    def to_scipy(self) -> csr_array:
        """Returns the stored entries as a SciPy matrix; the arrays are shared where SciPy allows it.

        Trap: SciPy reads missing entries as 0, while a missing Jaccard distance is 1. Stored zeros are kept (duplicate
        images have them), which is what scikit-learn's ``metric="precomputed"`` expects of a sparse radius graph; do
        not call ``eliminate_zeros``.
        """
        return csr_array((self.values, self.columns, self.starts), shape=(self.num_rows, self.num_columns))


def gather_rows(
    kernel: Callable[..., Any], num_rows: int, num_columns: int, *arguments: Any, rows_at_once: int = ROWS_AT_ONCE
) -> SparseRows:
    """Returns the rows that ``kernel(start, stop, *arguments)`` makes for ranges of rows, in all threads of torch.

    The kernel returns, for its range, the number of entries of each row (int64), and columns and values one row after
    the other. Memory: the result, once more while the pieces are joined (by halves), and a piece per thread.
    """
    pieces: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def keep(start: int, stop: int) -> None:
        pieces[start] = kernel(start, stop, *arguments)

    over_rows(keep, num_rows, rows_at_once=rows_at_once)
    counts, columns, values = (list(parts) for parts in zip(*(pieces[at] for at in sorted(pieces)), strict=True))
    pieces.clear()
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(np.concatenate(counts))])
    return SparseRows(starts, _joined(columns), _joined(values), num_columns)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """Returns the parts in one array and empties their list."""
    joined = np.concatenate(parts)
    parts.clear()
    return joined


@numba.njit(cache=True, nogil=True)
def with_room(array: np.ndarray, size: int) -> np.ndarray:
    """Returns an array of at least ``size`` that begins as ``array`` does: the same one if it is large enough."""
    if size <= len(array):
        return array
    larger = np.empty(max(size, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger
