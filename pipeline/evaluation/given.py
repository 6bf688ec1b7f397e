"""The counts of ``counting.py`` from a matrix of distances that is there already, in one pass over it."""

from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np

from pipeline.evaluation.counting import CHUNK, Nearer, count_up_to
from pipeline.evaluation.labels import Labels
from pipeline.evaluation.thresholds import first_not_below, rising
from pipeline.neighbors.threads import over_rows

QUERIES_AT_ONCE = 2048


def count_nearer_given(labels: Labels, distances: np.ndarray, *, with_identities: bool) -> Iterator[Nearer]:
    """Yields the counts of all queries by ``distances`` [Q, G], float32 or float64, C-contiguous, as they stand.

    Raises:
        ValueError: at the end, for NaN and infinity, naming the rows.
    """
    is_broken = np.zeros(labels.num_queries, dtype=bool)
    for queries in labels.blocks(QUERIES_AT_ONCE):
        same, rows = labels.same(queries), distances[queries]
        thresholds, num_matches = rising(same, rows[same.rows[same.is_match], same.columns[same.is_match]])
        images = np.zeros(thresholds.shape, dtype=np.int64)
        seen = np.zeros((len(rows), labels.num_identities if with_identities else 0), dtype=np.uint8)
        over_rows(
            _count_rows,
            len(rows),
            *(rows, thresholds, num_matches, same.starts, same.columns),
            *(labels.view[queries], labels.unseen, labels.identities, images, seen, is_broken[queries]),
        )
        identities = seen.sum(axis=1, dtype=np.int64) if with_identities else None
        yield Nearer(queries, images, num_matches, identities)
    if broken := np.flatnonzero(is_broken).tolist():
        raise ValueError(f"NaN or infinity in {len(broken)} distance rows, the first are {broken[:10]}")


@numba.njit(cache=True, nogil=True)
def _count_rows(  # type: ignore[no-untyped-def]
    start,
    stop,
    rows,
    thresholds,
    num_matches,
    same_starts,
    same_columns,
    view,
    unseen,
    identities,
    images,
    seen,
    broken,
):
    visible, farthest = np.empty(rows.shape[1], rows.dtype), np.finfo(rows.dtype).max
    for row in range(start, stop):
        line, rising = rows[row], thresholds[row, : num_matches[row]]
        if view[row] >= 0:
            for place in range(line.size):
                is_hidden = unseen[view[row], place] and np.isfinite(line[place])
                visible[place] = farthest if is_hidden else line[place]
            line = visible
        own = same_columns[same_starts[row] : same_starts[row + 1]]
        own_identity = identities[own[0]] if own.size else -1
        broken[row] = not _count_line(line, rising, images[row], identities, own_identity, seen[row])
        _take_back(line, rising, own, images[row])


@numba.njit(cache=True, nogil=True)
def _count_line(line, rising, images, identities, own_identity, seen):  # type: ignore[no-untyped-def]
    """Counts until a number is not finite, and returns whether all are."""
    for begin in range(0, line.size, CHUNK):
        chunk = line[begin : begin + CHUNK]
        if _count_finite(chunk) < chunk.size:
            return False
        for match in range(rising.size - 1, -1, -1):
            not_farther = count_up_to(chunk, rising[match])
            if not_farther == 0:
                break
            images[match] += not_farther
            if match == 0 and seen.size:
                _see(chunk, rising[0], identities[begin : begin + CHUNK], own_identity, seen)
    return True


@numba.njit(cache=True, nogil=True)
def _count_finite(chunk):  # type: ignore[no-untyped-def]
    count = np.int32(0)
    for place in range(chunk.size):
        count = np.int32(count + (np.abs(chunk[place]) < np.inf))
    return count


@numba.njit(cache=True, nogil=True)
def _see(chunk, nearest, identities, own_identity, seen):  # type: ignore[no-untyped-def]
    for place in range(chunk.size):
        if chunk[place] <= nearest and identities[place] != own_identity:
            seen[identities[place]] = 1


@numba.njit(cache=True, nogil=True)
def _take_back(line, rising, own, images):  # type: ignore[no-untyped-def]
    """Subtracts the images of the query's own identity."""
    for column in own:
        for match in range(first_not_below(rising, rising.size, line[column]), rising.size):
            images[match] -= 1
