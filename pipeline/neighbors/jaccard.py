"""Jaccard distances of k-reciprocal encodings as sparse rows: what is not stored is at distance 1.

With encodings whose rows sum to 1, the sum of element-wise maxima is 2 less that of the minima, so
``J(i, l) = 1 - s / (2 - s)`` with ``s = sum over j of min(V[i, j], V[l, j])``, and J is 1 wherever two rows share no
image j. Only the others are ever touched, by way of the images j: never a matrix of N x N.

Source: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding" (CVPR 2017), equations 5, 8-10.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import torch

from pipeline.neighbors.nearest import Progress, nearest_in
from pipeline.neighbors.reciprocal import encode_reciprocal, expand_encoding, named_convention
from pipeline.neighbors.space import Space
from pipeline.neighbors.sparse import SparseRows, gather_rows, with_room

NO_COLUMN = np.iinfo(np.int32).max


def jaccard_rows(encoding: SparseRows, others: SparseRows | None = None) -> SparseRows:
    """Returns the distances J, float32 in [0, 1), of every row of ``encoding`` to every row of ``others``.

    Sums run in float64 over rising j and are rounded once, so a pair has one distance in every bit, whichever of the
    two comes first, and whatever the rows beside it and the number of threads.

    Args:
        encoding: weights ``[N, images]`` above 0, rows sum to 1.
        others: weights ``[M, images]`` by the same images; by default ``encoding`` itself. For re-ranking, both are
            ``SparseRows.rows`` of the encoding of queries and gallery together.

    Raises:
        ValueError: when the two encodings are by different numbers of images, or weights are not above 0.
    """
    others = encoding if others is None else others
    if encoding.num_columns != others.num_columns:
        raise ValueError(f"encodings by {encoding.num_columns} and by {others.num_columns} images: expected the same")
    for weights in (encoding.values, others.values):
        if not (weights > 0).all():
            raise ValueError("expected weights above 0, as encode_reciprocal makes them")
    by_image = _transposed(others.starts, others.columns, others.values, others.num_columns)
    return gather_rows(
        _distances,
        encoding.num_rows,
        others.num_rows,
        *(encoding.starts, encoding.columns, encoding.values),
        *by_image,
        others.num_rows,
    )


def jaccard_distance(
    features: Any,
    *,
    k1: int,
    k2: int,
    metric: str,
    convention: str,
    block_size: int = 1024,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> SparseRows:
    """Returns the Jaccard distance of every two of N embeddings, float32 in [0, 1): ``dbscan`` takes it as it is.

    Neighbours, encoding, local query expansion and distances in one call, exact and the same in every bit for any
    ``block_size``, device and number of threads. Symmetric; an image is at 0, or some 1e-7, from itself. A row stores
    the images that share a neighbour with it or with its neighbours: some hundreds, whatever N is. Cost: the neighbour
    search, and after it some 60 us of one core a row; 8 bytes an entry, twice that for a moment.

    Args:
        features: ``[N, D]``, array, tensor or lists, taken in float32: see ``as_features``; of any length for
            ``cosine``.
        k1: neighbours that vouch for each other: see ``encode_reciprocal``.
        k2: neighbours whose encodings are averaged; 1 for none: see ``expand_encoding``.
        metric: ``cosine`` or ``euclidean``, which is squared in every convention. Trap: ``cluster_contrast`` takes the
            squares as they are, and those of embeddings that are not L2-normalised make all weights but an image's own
            vanish.
        convention: ``cluster_contrast``, ``zhong`` or ``deep_person_reid``: see ``encode_reciprocal``.
        block_size, device, progress: of the neighbour search: see ``find_nearest``.

    Source: Zhong et al. (CVPR 2017); alibaba/cluster-contrast-reid 57b62e9, ``compute_jaccard_distance``, to which
    ``cosine`` and ``cluster_contrast`` are equal up to its float32 (2e-6).

    Raises:
        ValueError: for features, as ``Space``; for k1, k2, metric and convention out of range.
    """
    rule = named_convention(convention)
    if not 1 <= k2 <= rule.num_neighbors(k1, k1 + rule.neighbors_beyond_k1):
        raise ValueError(f"k2: expected from 1 to the number of neighbours by k1 = {k1}, got {k2}")
    space = Space(features, features, metric, device, names=("features", "features"))
    wanted = rule.num_neighbors(k1, len(space.query))
    neighbors = nearest_in(space, wanted, farthest=rule.is_relative, block_size=block_size, progress=progress)
    encoding = encode_reciprocal(neighbors, space, k1=k1, convention=convention)
    return jaccard_rows(expand_encoding(encoding, neighbors.rows, k2=k2))


def weighted_mean(views: Sequence[SparseRows], weights: Sequence[float]) -> SparseRows:
    """Returns ``sum over v of weights[v] * views[v]``, float32 in [0, 1), where what is missing in a view counts as 1.

    Sums run in float64 in the order of the views and are rounded once; sums that round to 1 are not stored. Symmetric
    if the views are.

    Args:
        views: distances of the same rows, one or more.
        weights: one of each view, not below 0, summing to 1.

    Source: MSKD merges the distances of the whole, the upper and the lower body with .70, .15 and .15.

    Raises:
        ValueError: for views of different sizes and weights that do not fit them.
    """
    sizes = {(view.num_rows, view.num_columns) for view in views}
    if len(sizes) != 1:
        raise ValueError(f"expected distances of the same rows, got matrices of {sorted(sizes)}")
    shares = np.array(weights, dtype=np.float64)
    if len(shares) != len(views) or not (shares >= 0).all() or not abs(shares.sum() - 1) <= 1e-9:
        raise ValueError(f"expected {len(views)} weights, none below 0, that sum to 1, got {list(weights)}")
    ((num_rows, num_columns),) = sizes

    def merged(start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        parts = [view.rows(start, stop) for view in views]
        offsets = np.cumsum([0] + [len(part.columns) for part in parts])
        starts = np.stack([offset + part.starts for offset, part in zip(offsets, parts, strict=False)])
        columns, values = (np.concatenate([getattr(part, name) for part in parts]) for name in ("columns", "values"))
        return _weighted_sums(starts, columns, values, shares)

    return gather_rows(merged, num_rows, num_columns)


@numba.njit(cache=True, nogil=True)
def _transposed(
    starts: np.ndarray, columns: np.ndarray, values: np.ndarray, num_columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns starts, rows (rising) and values column by column."""
    ends = np.zeros(num_columns + 1, np.int64)
    for column in columns:
        ends[column + 1] += 1
    ends = np.cumsum(ends)
    column_starts = ends.copy()
    rows, moved = np.empty(len(columns), np.int32), np.empty(len(columns), np.float32)
    for row in range(len(starts) - 1):
        for entry in range(starts[row], starts[row + 1]):
            at = ends[columns[entry]]
            rows[at], moved[at] = row, values[entry]
            ends[columns[entry]] += 1
    return column_starts, rows, moved


@numba.njit(cache=True, nogil=True)
def _distances(  # type: ignore[no-untyped-def]
    start, stop, starts, columns, values, other_starts, other_rows, other_values, num_others
):
    shared = np.zeros(num_others)
    is_met = np.zeros(-(-num_others // 8) * 8, np.uint8)
    eights = is_met.view(np.uint64)  # by eights, all of a row is soon looked through, in order: quicker than sorting
    counts = np.zeros(stop - start, np.int64)
    found, distances = np.empty(0, np.int32), np.empty(0, np.float32)
    end = 0
    for row in range(start, stop):
        for entry in range(starts[row], starts[row + 1]):
            weight = values[entry]
            for place in range(other_starts[columns[entry]], other_starts[columns[entry] + 1]):
                other = other_rows[place]
                is_met[other] = 1
                shared[other] += min(weight, other_values[place])
        first, last = end, end
        found, distances = with_room(found, end + num_others + 1), with_room(distances, end + num_others + 1)
        for eight in range(len(eights)):
            if eights[eight]:
                for other in range(8 * eight, 8 * eight + 8):
                    found[last] = other
                    last += is_met[other]
                eights[eight] = 0
        for place in range(first, last):
            other = found[place]
            distance = np.float32(max(1 - shared[other] / (2 - shared[other]), 0.0))
            shared[other] = 0
            found[end], distances[end] = other, distance
            end += 1 if distance < 1 else 0
        counts[row - start] = end - first
    return counts, found[:end], distances[:end]


@numba.njit(cache=True, nogil=True)
def _weighted_sums(
    starts: np.ndarray, columns: np.ndarray, values: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns merged rows; ``starts`` [views, rows + 1] of all views, which stand one after the other."""
    num_rows = starts.shape[1] - 1
    counts = np.zeros(num_rows, np.int64)
    merged, sums = np.empty(len(columns), np.int32), np.empty(len(columns), np.float32)
    end = 0
    for row in range(num_rows):
        first = end
        at, stops = starts[:, row].copy(), starts[:, row + 1]
        while True:
            column = NO_COLUMN
            for view in range(len(weights)):
                if at[view] < stops[view]:
                    column = min(column, columns[at[view]])
            if column == NO_COLUMN:
                break
            total = 0.0
            for view in range(len(weights)):
                if at[view] < stops[view] and columns[at[view]] == column:
                    total += weights[view] * values[at[view]]
                    at[view] += 1
                else:
                    total += weights[view]
            merged[end], sums[end] = column, total
            end += 1 if sums[end] < 1 else 0
        counts[row] = end - first
    return counts, merged[:end], sums[:end]
