"""Thresholds of a block of queries: the distances of their matches, and what has been counted below each."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from pipeline.evaluation.labels import Labels, Same
from pipeline.neighbors.threads import over_rows


class Block(NamedTuple):
    """Thresholds of a block of queries, and what has been counted; K stands for T + 1."""

    values: np.ndarray  # float64 [R, T], rising, then infinity
    num_matches: np.ndarray  # int64 [R]
    lows: np.ndarray  # float32 [R, T]: what is below is nearer than cluster k, whatever the rounding; then infinity
    highs: np.ndarray  # float32 [R, T]: what is above is farther
    num_clusters: np.ndarray  # int64 [R]
    cluster_of: np.ndarray  # int32 [R, T], of a threshold
    clear: np.ndarray  # int64 [R, K]: images between clusters k - 1 and k
    settled: np.ndarray  # int64 [R, K]: unclear images between thresholds t - 1 and t, measured
    identities: np.ndarray  # int32 [G] of the gallery
    seen: np.ndarray  # uint8 [R, identities]: whether one has an image before the first match; else [R, 0]


def rising(same: Same, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the matches' ``values`` as rising rows ``[R, T]`` that end in infinity, and their numbers ``[R]``.

    ``values`` are given in the order of ``same``.
    """
    rows = same.rows[same.is_match]
    num_matches = np.bincount(rows, minlength=len(same.starts) - 1)
    thresholds = np.full((len(num_matches), max(1, num_matches.max())), np.inf, dtype=values.dtype)
    first = np.cumsum(num_matches) - num_matches
    thresholds[rows, np.arange(len(rows)) - first[rows]] = values[np.lexsort((values, rows))]
    return thresholds, num_matches


def make_block(
    labels: Labels, values: np.ndarray, num_matches: np.ndarray, margin: np.ndarray, with_identities: bool
) -> Block:
    """Returns the block of queries whose matches are at ``values`` [R, T] (of ``rising``), with nothing counted yet."""
    num_rows, width = values.shape
    lows = np.nextafter((values - margin[:, None]).astype(np.float32), np.float32(-np.inf))
    highs = np.nextafter((values + margin[:, None]).astype(np.float32), np.float32(np.inf))
    block = Block(
        values,
        num_matches,
        lows,
        highs,
        num_clusters=np.zeros(num_rows, dtype=np.int64),
        cluster_of=np.zeros((num_rows, width), dtype=np.int32),
        clear=np.zeros((num_rows, width + 1), dtype=np.int64),
        settled=np.zeros((num_rows, width + 1), dtype=np.int64),
        identities=labels.identities,
        seen=np.zeros((num_rows, labels.num_identities if with_identities else 0), dtype=np.uint8),
    )
    over_rows(_cluster, num_rows, block)
    return block


def settle(rows: np.ndarray, columns: np.ndarray, exact: np.ndarray, block: Block) -> None:
    """Adds unclear pairs, int64 ``[P]``, by their ``exact`` distances, float64 ``[P]``."""
    _settle(rows, columns, exact, block)


def add_up(block: Block) -> np.ndarray:
    """Returns how many images are at each threshold or nearer, int64 ``[R, T]``."""
    images = np.zeros(block.values.shape, dtype=np.int64)
    over_rows(_add_up, len(images), block, images)
    return images


@numba.njit(cache=True, nogil=True)
def _cluster(start, stop, block):  # type: ignore[no-untyped-def]
    """Joins the reach of neighbouring thresholds where they overlap, in place."""
    for row in range(start, stop):
        lows, highs, last = block.lows[row], block.highs[row], -1
        for match in range(block.num_matches[row]):
            if last < 0 or lows[match] > highs[last]:
                last += 1
                lows[last] = lows[match]
            highs[last] = highs[match]
            block.cluster_of[row, match] = last
        lows[last + 1 :] = np.inf
        highs[last + 1 :] = np.inf
        block.num_clusters[row] = last + 1


@numba.njit(cache=True, nogil=True)
def first_not_below(rising, size, number):  # type: ignore[no-untyped-def]
    """Returns the first place of the ``size`` rising numbers that is at ``number`` or above, ``size`` if none is."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if rising[middle] < number:
            low = middle + 1
        else:
            high = middle
    return low


@numba.njit(cache=True, nogil=True)
def _settle(rows, columns, exact, block):  # type: ignore[no-untyped-def]
    for pair in range(len(rows)):
        row = rows[pair]
        place = first_not_below(block.values[row], block.num_matches[row], exact[pair])
        block.settled[row, place] += 1
        if place == 0 and block.seen.shape[1] > 0:
            block.seen[row, block.identities[columns[pair]]] = 1


@numba.njit(cache=True, nogil=True)
def _add_up(start, stop, block, images):  # type: ignore[no-untyped-def]
    for row in range(start, stop):
        clear, settled, cluster = 0, 0, -1
        for match in range(block.num_matches[row]):
            while cluster < block.cluster_of[row, match]:
                cluster += 1
                clear += block.clear[row, cluster]
            settled += block.settled[row, match]
            images[row, match] = clear + settled
