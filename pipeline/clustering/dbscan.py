"""DBSCAN on sparse distances: pseudo-labels in the time it takes to read the stored entries."""

from __future__ import annotations

import numba
import numpy as np

from pipeline.neighbors.sparse import SparseRows
from pipeline.neighbors.threads import over_rows

NOISE = -1


def dbscan(distances: SparseRows, *, eps: float, min_samples: int) -> np.ndarray:
    """Returns the cluster of each row, int64 ``[N]``, from 0 without a gap; ``NOISE``, -1, for rows of none.

    A core row has ``min_samples`` rows, itself among them, within ``eps``. Core rows within ``eps`` of each other are
    of one cluster; another row within ``eps`` of a core row, a border row, joins that one's. Clusters are numbered by
    their lowest core row, and a border row between several joins the one of lowest number.
    Cost: two passes over the entries, N x 9 bytes of memory.

    Args:
        distances: float32 ``[N, N]``, what is not stored is at distance 1 or more. A row is at 0 from itself, stored or
            not. It is meant to be symmetric, and is not checked to be: of another matrix, row i says whom core row i
            reaches, as it does in scikit-learn.
        eps: between 0 and 1, both excluded; at exactly ``eps`` is within. Compared as float32, as the distances are: .6
            is .60000002 then. Trap: .4 to .7 is usual for Jaccard distances, lower for data sets of many alike people;
            somewhat too large, and all clusters melt into one.
        min_samples: 1 or more. 4 is usual. 1 leaves no noise, 2 none but rows without anyone near.

    Source: Ester et al., "A Density-Based Algorithm for Discovering Clusters" (KDD 1996). Labels, numbers and the
    comparison are those of scikit-learn 1.9, ``DBSCAN(metric="precomputed")`` on the dense float32 matrix with eps a
    Python float: NumPy takes such a number to the type of the array.
    Differs: from scikit-learn on sparse input too, which compares in the type of the values as well.

    Raises:
        ValueError: for distances that are not square, float32 or 0 or more; for eps or min_samples out of range.
    """
    limit = np.float32(eps)
    if not 0 < limit < 1:
        raise ValueError(f"eps: expected above 0 and below 1, where missing distances are, got {eps}")
    if min_samples < 1:
        raise ValueError(f"min_samples: expected 1 or more, a row itself among them, got {min_samples}")
    if distances.num_rows != distances.num_columns or distances.values.dtype != np.float32:
        raise ValueError(
            "expected float32 distances between the rows of one set, got "
            f"{distances.values.dtype} [{distances.num_rows}, {distances.num_columns}]"
        )
    arrays = distances.starts, distances.columns, distances.values
    is_core, is_broken = np.empty(distances.num_rows, dtype=bool), np.empty(distances.num_rows, dtype=bool)
    over_rows(_mark_rows, distances.num_rows, *arrays, limit, min_samples, is_core, is_broken)
    if broken := np.flatnonzero(is_broken).tolist():
        raise ValueError(f"distances below 0 or NaN in {len(broken)} rows, the first are {broken[:10]}")
    return _labels(*arrays, limit, is_core)


@numba.njit(cache=True, nogil=True)
def _mark_rows(  # type: ignore[no-untyped-def]
    start, stop, starts, columns, values, limit, min_samples, is_core, is_broken
):
    for row in range(start, stop):
        near, broken = 1, 0
        for entry in range(starts[row], starts[row + 1]):
            near += values[entry] <= limit and columns[entry] != row
            broken += not values[entry] >= 0
        is_core[row], is_broken[row] = near >= min_samples, broken > 0


@numba.njit(cache=True, nogil=True)
def _labels(
    starts: np.ndarray, columns: np.ndarray, values: np.ndarray, limit: np.float32, is_core: np.ndarray
) -> np.ndarray:
    num_rows = len(starts) - 1
    labels = np.full(num_rows, NOISE, np.int64)
    reached = np.empty(num_rows, np.int32)  # rows of the cluster whose own neighbours are still to be visited
    cluster = -1
    for seed in range(num_rows):
        if labels[seed] != NOISE or not is_core[seed]:
            continue
        cluster += 1
        labels[seed] = cluster
        reached[0], waiting = seed, 1
        while waiting:
            waiting -= 1
            row = reached[waiting]
            for entry in range(starts[row], starts[row + 1]):
                other = columns[entry]
                if values[entry] <= limit and labels[other] == NOISE:
                    labels[other] = cluster
                    if is_core[other]:
                        reached[waiting] = other
                        waiting += 1
    return labels
