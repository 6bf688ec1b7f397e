"""The counts of ``counting.py`` from a matrix of distances that is there already, in one pass over it.

A piece of a row is compared with four thresholds at a time while it is in the fastest cache, and looked at for NaN on
the way. Nothing is masked: images that do not count are counted with the rest, and taken back one by one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np

from pipeline.evaluation.counting import Nearer
from pipeline.evaluation.labels import Labels
from pipeline.evaluation.thresholds import first_not_below
from pipeline.neighbors.arrays import NOT_FINITE, refuse_rows
from pipeline.neighbors.threads import over_rows

QUERIES_AT_ONCE = 2048
COLUMNS_AT_ONCE = 4096  # half of the fastest cache in float32
EDGES_AT_ONCE = 4


def count_nearer_precomputed(labels: Labels, distances: np.ndarray, *, with_identities: bool) -> Iterator[Nearer]:
    """Yields the counts of all queries by ``distances`` [Q, G], float32 or float64, C-contiguous, as they stand.

    Raises:
        ValueError: at the end, for NaN and infinity, naming the rows.
    """
    is_broken = np.zeros(labels.num_queries, dtype=bool)
    for queries in labels.blocks(QUERIES_AT_ONCE):
        rows, num_matches = distances[queries], labels.num_matches[queries]
        images = np.zeros((len(rows), max(1, num_matches.max())), dtype=np.int64)
        seen = np.zeros((len(rows), labels.num_identities if with_identities else 0), dtype=np.uint8)
        over_rows(
            _count_rows,
            len(rows),
            *(rows, labels.same(queries), num_matches),
            *(labels.identities, labels.view[queries], labels.unseen, images, seen, is_broken[queries]),
        )
        identities = seen.sum(axis=1, dtype=np.int64) if with_identities else None
        yield Nearer(queries, images, num_matches, identities)
    refuse_rows(is_broken, "distances", NOT_FINITE)


@numba.njit(cache=True, nogil=True)
def _count_rows(  # type: ignore[no-untyped-def]
    start, stop, rows, same, num_matches, identities, view, unseen, images, seen, broken
):
    all_seen = np.zeros(rows.shape[1], np.bool_)
    for row in range(start, stop):
        line, entries = rows[row], slice(same.starts[row], same.starts[row + 1])
        own, is_match = same.columns[entries], same.is_match[entries]
        own_identity = identities[own[0]] if own.size else -1
        hidden = unseen[view[row]] if view[row] >= 0 else all_seen
        edges, counts = _edges(line, own[is_match])
        broken[row] = not _count_line(line, edges, counts)
        if broken[row] or num_matches[row] == 0:
            continue
        rising, nearer = edges[-num_matches[row] :], counts[-num_matches[row] :]
        for column in own:
            _take_back(line[column], rising, nearer)
        if view[row] >= 0:
            for column in range(line.size):
                if hidden[column] and identities[column] != own_identity:
                    _take_back(line[column], rising, nearer)
        images[row, : nearer.size] = nearer
        if seen.shape[1] and nearer[0]:
            for column in range(line.size):
                if line[column] <= rising[0] and identities[column] != own_identity and not hidden[column]:
                    seen[row, identities[column]] = 1


@numba.njit(cache=True, nogil=True)
def _edges(line, matches):  # type: ignore[no-untyped-def]
    """Returns the matches' distances, rising, after as many -inf as fill the first of the fours; and zeros for each."""
    size = max(1, -(-matches.size // EDGES_AT_ONCE)) * EDGES_AT_ONCE
    edges = np.full(size, -np.inf, line.dtype)
    edges[size - matches.size :] = np.sort(line[matches])
    return edges, np.zeros(size, np.int64)


@numba.njit(cache=True, nogil=True)
def _count_line(line, edges, counts):  # type: ignore[no-untyped-def]
    """Adds the numbers at each edge or below until one is not finite, and returns whether all are."""
    last = edges.size - EDGES_AT_ONCE
    for begin in range(0, line.size, COLUMNS_AT_ONCE):
        piece = line[begin : begin + COLUMNS_AT_ONCE]
        for first in range(last, -1, -EDGES_AT_ONCE):
            four = slice(first, first + EDGES_AT_ONCE)
            highest = counts[first + EDGES_AT_ONCE - 1]
            num_finite = _compare(piece, edges[four], counts[four], first == last)
            if first == last and num_finite < piece.size:
                return False
            if counts[first + EDGES_AT_ONCE - 1] == highest:
                break
    return True


@numba.njit(cache=True, nogil=True)
def _compare(piece, edges, counts, is_checked):  # type: ignore[no-untyped-def]
    """Adds to four counts, and returns how many numbers are finite where that is asked for."""
    edge_0, edge_1, edge_2, edge_3 = edges[0], edges[1], edges[2], edges[3]
    count_0 = count_1 = count_2 = count_3 = num_finite = np.int32(0)  # as wide as the numbers: eight in one step
    for place in range(piece.size):
        number = piece[place]
        count_0 = np.int32(count_0 + (number <= edge_0))
        count_1 = np.int32(count_1 + (number <= edge_1))
        count_2 = np.int32(count_2 + (number <= edge_2))
        count_3 = np.int32(count_3 + (number <= edge_3))
        if is_checked:
            num_finite = np.int32(num_finite + (np.abs(number) < np.inf))
    counts[0] += count_0
    counts[1] += count_1
    counts[2] += count_2
    counts[3] += count_3
    return num_finite


@numba.njit(cache=True, nogil=True)
def _take_back(number, rising, counts):  # type: ignore[no-untyped-def]
    for match in range(first_not_below(rising, rising.size, number), rising.size):
        counts[match] -= 1
