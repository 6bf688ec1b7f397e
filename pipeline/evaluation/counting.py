"""How many wrong images are nearer to a query than each of its matches, counted in tiles of rough distances.

The exact distances of a query's matches are its thresholds. A rough distance that is farther than the margin from all
of them tells how many it is nearer than; the few others are unclear and measured again, pair by pair, so that every
count is that of the exact distances. Thresholds within two margins of each other are taken together, as a cluster.

Nothing is sorted but a query's matches. Memory: a tile, thresholds of a block of queries, a tile's unclear pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import numba
import numpy as np
from torch import Tensor

from pipeline.evaluation.counting_by_torch import count_by_torch, remove_by_torch
from pipeline.evaluation.labels import Labels, Same
from pipeline.evaluation.thresholds import Block, add_up, make_block, rising, settle
from pipeline.neighbors.sparse import with_room
from pipeline.neighbors.threads import over_rows

REMOVED = np.finfo(np.float32).max  # the rough distance of what does not count
CHUNK = 1024  # columns that stay in the fastest cache while they are compared with all thresholds
PART = 64  # columns that are looked at one by one where one of them is unclear


@runtime_checkable
class Distances(Protocol):
    """What can be ranked by: ``pipeline.neighbors.space.Space``, and what is built on it."""

    @property
    def shape(self) -> tuple[int, int]:
        """Queries and gallery images."""

    @property
    def margin(self) -> np.ndarray:
        """float64 ``[Q]``: every rough distance of a query is off from the exact one by less."""

    def rough(self, rows: slice, columns: slice) -> Tensor:
        """Returns float32 ``[R, C]``, to be written to by the caller."""

    def exact(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Returns float64 ``[P]`` of pairs, int64 ``[P]``, the same bits for a pair whatever stands beside it."""


class Nearer(NamedTuple):
    """Counts of a block of R queries, with at most T matches."""

    queries: slice
    images: np.ndarray  # int64 [R, T]: wrong images at the distance of match t or nearer, t rising
    num_matches: np.ndarray  # int64 [R]: how many t there are
    identities: np.ndarray | None  # int64 [R]: of those at the first match or nearer, where they are asked for


def count_nearer(labels: Labels, distances: Distances, *, block_size: int, with_identities: bool) -> Iterator[Nearer]:
    """Yields the counts of all queries, block by block; the same for any ``block_size``, device and threads."""
    for queries in labels.blocks(block_size):
        same = labels.same(queries)
        exact = distances.exact(same.rows[same.is_match] + queries.start, same.columns[same.is_match])
        block = make_block(labels, *rising(same, exact), distances.margin[queries], with_identities)
        for columns in pieces(labels.num_gallery, block_size):
            tile = distances.rough(queries, columns)
            remove(tile, columns, labels, queries, same)
            rows, images = _count(tile, columns, block)
            settle(rows, images, distances.exact(rows + queries.start, images), block)
        identities = block.seen.sum(axis=1, dtype=np.int64) if with_identities else None
        yield Nearer(queries, add_up(block), block.num_matches, identities)


def pieces(size: int, step: int) -> Iterator[slice]:
    """Yields ``size`` rows or columns in slices of ``step``."""
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def remove(tile: Tensor, columns: slice, labels: Labels, queries: slice, same: Same) -> None:
    """Ensures that images of the query's own identity, and those it does not see, are at ``REMOVED`` in the tile."""
    views = labels.view[queries]
    if tile.device.type == "cpu":
        hidden = np.ascontiguousarray(labels.unseen[:, columns])
        over_rows(_remove, len(tile), tile.numpy(), columns.start, same.starts, same.columns, views, hidden)
    else:
        remove_by_torch(tile, columns, same, views, labels.unseen, float(REMOVED))


@numba.njit(cache=True, nogil=True)
def _remove(start, stop, tile, first, same_starts, same_columns, views, hidden):  # type: ignore[no-untyped-def]
    width = tile.shape[1]
    for row in range(start, stop):
        line = tile[row]
        for entry in range(same_starts[row], same_starts[row + 1]):
            if first <= same_columns[entry] < first + width:
                line[same_columns[entry] - first] = REMOVED
        if views[row] >= 0:
            for place in range(width):
                if hidden[views[row], place]:
                    line[place] = REMOVED


def _count(tile: Tensor, columns: slice, block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Adds a tile to what is clear and seen, and returns rows and columns, int64, of its unclear pairs."""
    if tile.device.type != "cpu":
        return count_by_torch(tile, columns, block)
    found = []

    def keep(start: int, stop: int) -> None:
        found.append(_count_rows(start, stop, tile.numpy(), columns.start, block))

    over_rows(keep, len(tile))
    rows, images = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, images


@numba.njit(cache=True, nogil=True)
def _count_rows(start, stop, tile, first, block):  # type: ignore[no-untyped-def]
    rows, columns, num_unclear = np.empty(64, np.int64), np.empty(64, np.int64), 0
    for row in range(start, stop):
        for begin in range(0, tile.shape[1], CHUNK):
            chunk = tile[row, begin : begin + CHUNK]
            for cluster in range(block.num_clusters[row] - 1, -1, -1):
                low, high = block.lows[row, cluster], block.highs[row, cluster]
                not_farther = count_up_to(chunk, high)
                if not_farther == 0:
                    break
                nearer = _count_below(chunk, low)
                block.clear[row, cluster] += nearer
                block.clear[row, cluster + 1] -= not_farther
                if nearer < not_farther:
                    rows = with_room(rows, num_unclear + not_farther - nearer)
                    columns = with_room(columns, num_unclear + not_farther - nearer)
                    find_between(chunk, low, high, columns[num_unclear:])
                    for pair in range(num_unclear, num_unclear + not_farther - nearer):
                        rows[pair] = row
                        columns[pair] += first + begin
                    num_unclear += not_farther - nearer
                if cluster == 0 and nearer > 0 and block.seen.shape[1] > 0:
                    for place in range(chunk.size):
                        if chunk[place] < low:
                            block.seen[row, block.identities[first + begin + place]] = 1
    return rows[:num_unclear], columns[:num_unclear]


@numba.njit(cache=True, nogil=True)
def find_between(chunk, low, high, places):  # type: ignore[no-untyped-def]
    """Writes to ``places`` where the chunk is between ``low`` and ``high``; few are, so most parts are skipped."""
    found = 0
    for begin in range(0, chunk.size, PART):
        part = chunk[begin : begin + PART]
        if count_up_to(part, high) > _count_below(part, low):
            for place in range(part.size):
                if low <= part[place] <= high:
                    places[found] = begin + place
                    found += 1


@numba.njit(cache=True, nogil=True)
def count_up_to(chunk, edge):  # type: ignore[no-untyped-def]
    """Returns how many numbers of the chunk are at most ``edge``."""
    count = np.int32(0)  # the same width as the numbers: eight are compared in one step
    for place in range(chunk.size):
        count = np.int32(count + (chunk[place] <= edge))
    return count


@numba.njit(cache=True, nogil=True)
def _count_below(chunk, edge):  # type: ignore[no-untyped-def]
    count = np.int32(0)
    for place in range(chunk.size):
        count = np.int32(count + (chunk[place] < edge))
    return count
