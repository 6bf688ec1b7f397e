"""k-reciprocal encoding: an image as a sparse vector of the images that it and its neighbours agree on.

1. The k-reciprocal neighbours R(i, k) of image i are those of its k nearest images that have i among their k nearest.
2. R(i, K) is expanded: by R(c, h) for each candidate c in it, if more than two thirds of R(c, h) are in R(i, K).
3. The encoding V[i] is zero but at the images e of the expanded set, where it is exp(-d(i, e)) over the sum of these.
4. Local query expansion: V[i] becomes the mean of V over the k2 nearest images of i.

An image is one of its own k nearest: the first, or, where it has exact duplicates, one of the first.

Source: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding" (CVPR 2017), sections 3.2-3.4;
``CONVENTIONS`` are the public codes, which read k and d in different ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from pipeline.neighbors.nearest import Neighbors
from pipeline.neighbors.space import Space
from pipeline.neighbors.sparse import SparseRows, gather_rows, with_room
from pipeline.neighbors.threads import over_rows

SMALLEST = 2.0**-126  # so that a weight of float32 is never 0, however far its image


@dataclass(frozen=True)
class Convention:
    """How a public code reads k1 and the distance d.

    Attributes:
        neighbors_beyond_k1: the K nearest images of step 1, the image itself among them, are k1 and these.
        power: d is the squared Euclidean distance to this power,
        is_relative: over that of the farthest image of the row, so that d is at most 1.
    """

    neighbors_beyond_k1: int
    power: int
    is_relative: bool

    def num_neighbors(self, k1: int, num_images: int) -> int:
        """Returns K, how many neighbours to search: all images, where there are fewer.

        Raises:
            ValueError: when k1 is below 1.
        """
        if k1 < 1:
            raise ValueError(f"k1: expected 1 or more neighbours, got {k1}")
        return min(k1 + self.neighbors_beyond_k1, num_images)

    def distances(self, measured: np.ndarray, farthest: np.ndarray | None, *, metric: str) -> np.ndarray:
        """Returns d, float64, of ``measured`` distances.

        Args:
            measured: by ``metric``, as ``Space`` does: a cosine distance, or the square of a Euclidean one; the first
                is half the second of L2-normalised embeddings.
            farthest: by ``metric`` too, of the same shape or [N, 1]: of the row of each. Not looked at unless
                ``is_relative``; where it is 0, all images are the same and d is 0.
        """
        if self.is_relative:
            assert farthest is not None
            measured = measured / np.where(farthest > 0, farthest, 1)
        elif metric == "cosine":
            measured = 2 * measured
        return measured**self.power


CONVENTIONS = {
    "cluster_contrast": Convention(neighbors_beyond_k1=0, power=1, is_relative=False),
    "zhong": Convention(neighbors_beyond_k1=1, power=1, is_relative=True),
    "deep_person_reid": Convention(neighbors_beyond_k1=1, power=2, is_relative=True),
}


def named_convention(name: str) -> Convention:
    """Returns one of ``CONVENTIONS``.

    Raises:
        ValueError: naming them, for any other name.
    """
    if name not in CONVENTIONS:
        raise ValueError(f"convention: expected one of {', '.join(CONVENTIONS)}, got {name!r}")
    return CONVENTIONS[name]


def encode_reciprocal(neighbors: Neighbors, space: Space, *, k1: int, convention: str) -> SparseRows:
    """Returns the encoding V ``[N, N]`` of step 3: float32 weights above 0, each row a distribution over images.

    Weights are computed in float64 and rounded once, so neither block sizes nor threads change a bit. The encoding
    takes 8 bytes for each of some k1 to 2 k1 images of a row, the work on it three times as much.

    Args:
        neighbors: of one set to itself, with K columns or more (see ``Convention.num_neighbors``; more are not looked
            at), and with ``farthest`` if the convention is relative.
        space: what they were found in. Images of the expansion may stand beyond the neighbours: they are measured here.
        k1: how many nearest images vouch for each other. Trap: with more than an identity has images, strangers vouch;
            30 is usual for clustering, 20 for re-ranking. The half set of the expansion has
            h = ``round(k1 / 2) + 1`` columns in every convention, halves rounded to even: 16 and 11.
        convention: how to read k1 and d, by the public code that does it.
            ``cluster_contrast``: K = k1, d the squared Euclidean distance of L2-normalised embeddings, 2 - 2 cos;
            alibaba/cluster-contrast-reid 57b62e9, ``compute_jaccard_distance(search_option=3)``, whose search returns
            exactly k1 columns. Codes of unsupervised re-identification descend from it.
            ``zhong``: K = k1 + 1, d the squared distance over that of the farthest image;
            zhunzhong07/person-re-ranking, ``re_ranking``, which squares the Euclidean distances it is given.
            ``deep_person_reid``: K = k1 + 1, d the square of that; KaiyangZhou/deep-person-reid f8cd150,
            ``re_ranking``, where it is given distances that are squared (or cosine) already and squares them again.

    Differs: from all three in that an image that K or more exact duplicates crowd out of its own neighbours still
    belongs to R(i, k), because an empty row would be at distance 1 from everything, itself included; and in that
    distances are measured in float64, because theirs change with the machine.

    Raises:
        ValueError: for an unknown convention, k1 below 1, too few neighbours, and ``farthest`` missing where needed.
    """
    rule = named_convention(convention)
    num_images, given = neighbors.rows.shape
    needed = rule.num_neighbors(k1, num_images)
    if given < needed:
        raise ValueError(f"k1 = {k1} by {convention} needs {needed} neighbours of each image, got {given}")
    if rule.is_relative and neighbors.farthest_compared is None:
        raise ValueError(f"{convention} divides by the farthest image: expected find_nearest(..., farthest=True)")
    rows = np.ascontiguousarray(neighbors.rows[:, :needed])
    places = np.empty_like(rows)
    over_rows(_places_of_return, num_images, rows, places)
    half = min(round(k1 / 2) + 1, needed)
    sets = gather_rows(_expanded_sets, num_images, num_images, rows, places, neighbors.compared, half)
    row_of_entries = sets.row_of_entries()
    unmeasured = np.flatnonzero(np.isnan(sets.values))
    sets.values[unmeasured] = space.exact(row_of_entries[unmeasured], sets.columns[unmeasured].astype(np.int64))
    farthest = neighbors.farthest_compared
    farthest = farthest[row_of_entries] if farthest is not None and rule.is_relative else None
    weights = np.empty(len(sets.values), dtype=np.float32)
    over_rows(_softmax, num_images, sets.starts, rule.distances(sets.values, farthest, metric=space.metric), weights)
    return SparseRows(sets.starts, sets.columns, weights, num_images)


def expand_encoding(encoding: SparseRows, nearest: np.ndarray, *, k2: int) -> SparseRows:
    """Returns the encoding after local query expansion (step 4): each row the mean of the rows of its k2 nearest.

    Sums run in float64 from the nearest image on and are rounded once.

    Args:
        nearest: ``Neighbors.rows``, int32 ``[N, columns]``, the image itself among them.
        k2: 1 returns the encoding as it is. Trap: this, not k1, fills the rows; 6 is the usual choice. Where there are
            fewer images than k2, all of them are averaged.

    Raises:
        ValueError: when k2 is below 1, or above the number of neighbours given.
    """
    num_images, given = nearest.shape
    if not 1 <= k2 <= given and not (given == num_images <= k2):
        raise ValueError(f"k2: expected between 1 and {given}, the neighbours given of each image, got {k2}")
    if k2 == 1:
        return encoding
    nearest = np.ascontiguousarray(nearest[:, :k2])
    return gather_rows(
        _means, num_images, encoding.num_columns, nearest, encoding.starts, encoding.columns, encoding.values
    )


@numba.njit(cache=True, nogil=True)
def _places_of_return(start: int, stop: int, rows: np.ndarray, places: np.ndarray) -> None:
    """Writes where in the list of the neighbour ``rows[i, a]`` image i stands, or its length if it does not.

    R(i, k) are the neighbours of the first k columns with a place below k: one table serves every k.
    """
    width = rows.shape[1]
    for image in range(start, stop):
        for place in range(width):
            other = rows[rows[image, place]]
            back = 0
            while back < width and other[back] != image:
                back += 1
            places[image, place] = back


@numba.njit(cache=True, nogil=True)
def _expanded_sets(
    start: int, stop: int, rows: np.ndarray, places: np.ndarray, distances: np.ndarray, half: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the sets of step 2 with the distances that are known, NaN for the others."""
    num_images, width = rows.shape
    last_of_reciprocal = np.full(num_images, -1, np.int32)  # the image in whose R(i, K) another was seen last
    last_of_expanded = np.full(num_images, -1, np.int32)
    distance_to = np.empty(num_images)
    members = np.empty(num_images, np.int32)
    counts = np.zeros(stop - start, np.int64)
    columns, values = np.empty(0, np.int32), np.empty(0)
    end = 0
    for image in range(start, stop):
        size = 1
        members[0] = image
        last_of_reciprocal[image] = last_of_expanded[image] = image
        for place in range(width):
            other = rows[image, place]
            if places[image, place] < width and other != image:
                last_of_reciprocal[other] = last_of_expanded[other] = image
                members[size] = other
                size += 1
        for candidate in members[:size].copy():
            in_half = shared = 0
            for place in range(half):
                if places[candidate, place] < half:
                    in_half += 1
                    shared += last_of_reciprocal[rows[candidate, place]] == image
            if 3 * shared > 2 * in_half:
                for place in range(half):
                    other = rows[candidate, place]
                    if places[candidate, place] < half and last_of_expanded[other] != image:
                        last_of_expanded[other] = image
                        members[size] = other
                        size += 1
        members[:size].sort()
        for other in members[:size]:
            distance_to[other] = np.nan
        for place in range(width):
            distance_to[rows[image, place]] = distances[image, place]
        columns, values = with_room(columns, end + size), with_room(values, end + size)
        columns[end : end + size] = members[:size]
        values[end : end + size] = distance_to[members[:size]]
        counts[image - start] = size
        end += size
    return counts, columns[:end], values[:end]


@numba.njit(cache=True, nogil=True)
def _softmax(start: int, stop: int, starts: np.ndarray, distances: np.ndarray, weights: np.ndarray) -> None:
    for row in range(start, stop):
        total = 0.0
        for entry in range(starts[row], starts[row + 1]):
            total += np.exp(-distances[entry])
        for entry in range(starts[row], starts[row + 1]):
            weights[entry] = max(np.exp(-distances[entry]) / total, SMALLEST)


@numba.njit(cache=True, nogil=True)
def _means(
    start: int, stop: int, nearest: np.ndarray, starts: np.ndarray, columns: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sums = np.zeros(len(starts) - 1)
    seen = np.empty(len(sums), np.int32)
    counts = np.zeros(stop - start, np.int64)
    made, means = np.empty(0, np.int32), np.empty(0, np.float32)
    end = 0
    for image in range(start, stop):
        size = 0
        for neighbor in nearest[image]:
            for entry in range(starts[neighbor], starts[neighbor + 1]):
                column = columns[entry]
                if sums[column] == 0:
                    seen[size] = column
                    size += 1
                sums[column] += values[entry]
        seen[:size].sort()
        made, means = with_room(made, end + size), with_room(means, end + size)
        for column in seen[:size]:
            made[end], means[end] = column, sums[column] / nearest.shape[1]
            sums[column] = 0
            end += 1
        counts[image - start] = size
    return counts, made[:end], means[:end]
