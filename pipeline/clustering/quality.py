"""How good a clustering is: against true identities, against cameras, against the clustering before it.

Noise (-1) is no cluster. Where a measure needs every image to be in one, a noise image is a cluster of its own: so it
lowers recall, never precision, and ARI and NMI see no agreement between two noise images. (scikit-learn, given -1,
takes all noise for one cluster; others leave noise out, which rewards labelling only what is easy.)

Nothing here is for training: true identities are read to report, and nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_array, hstack
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from pipeline.neighbors.arrays import as_ids

NOISE = -1


def measure_quality(
    labels: Any, *, identities: Any = None, cameras: Any = None, before: Any = None
) -> dict[str, float]:
    """Returns measures of a clustering by name: some of labels alone, and those that the other columns allow.

    ==================== ===============================================================================================
    num_clusters         clusters
    noise                share of images that are in none
    with ``identities``
    ari                  adjusted Rand index (Hubert and Arabie, 1985), at most 1, 0 for chance
    nmi                  normalised mutual information, over the arithmetic mean of both entropies. Trap: it rises with
                         the number of clusters, so also with noise: read it beside ``ari``
    bcubed_precision     of an image's cluster, the share that is of its identity; mean over images (Bagga and Baldwin,
                         1998; Amigo et al., 2009)
    bcubed_recall        of an image's identity, the share that is in its cluster; mean over images
    bcubed_f             harmonic mean of these two means
    pair_precision       of the pairs of images that share a cluster, the share that are of one identity; 1 without
                         such pairs. Trap: large clusters have most of the pairs
    purity               share of images that are of the most frequent identity of their cluster. Trap: noise is pure
    with ``cameras``
    camera_entropy       0 if each cluster is of one camera, 1 if each is spread evenly over all that occur; see
                         ``camera_entropy``
    with ``before``
    churn                share of images that changed their cluster; see ``measure_churn``
    ==================== ===============================================================================================

    Args:
        labels: whole numbers ``[N]``, -1 for noise.
        identities: ``[N]``, true ones, whole numbers or texts; None where they are not known.
        cameras: ``[N]``, whole numbers or texts, or None.
        before: labels of the same images by an earlier clustering, or None.

    Raises:
        ValueError: when the columns are not of one length, or no label is given; as ``as_ids``.
    """
    labels = as_ids("labels", labels)
    measures = {
        "num_clusters": float(len(np.unique(labels[labels != NOISE]))),
        "noise": float(np.mean(labels == NOISE)),
    }
    if identities is not None:
        measures |= _agreement(_alone(labels), _codes(as_ids("identities", identities, len(labels))))
    if cameras is not None:
        measures["camera_entropy"] = camera_entropy(labels, cameras)
    if before is not None:
        measures["churn"] = measure_churn(labels, before)
    return measures


def camera_entropy(labels: Any, cameras: Any) -> float:
    """Returns how evenly clusters are spread over cameras, in [0, 1]: low means that clusters follow cameras.

    The entropy of the cameras within each cluster, over the logarithm of the number of cameras that occur in
    ``cameras`` [N] at all; mean over clusters, weighted by their sizes. Noise is left out. Where there is one camera or
    no cluster, nothing can be spread: 0.
    """
    labels = as_ids("labels", labels)
    cameras = _codes(as_ids("cameras", cameras, len(labels)))
    num_cameras, is_in = cameras.max() + 1, labels != NOISE
    if num_cameras == 1 or not is_in.any():
        return 0.0
    counts, clusters, _ = _contingency(_codes(labels[is_in]), cameras[is_in])
    sizes = np.bincount(clusters, weights=counts)[clusters]
    return float(-(counts * np.log(counts / sizes)).sum() / counts.sum() / np.log(num_cameras)) + 0.0


def measure_churn(labels: Any, before: Any) -> float:
    """Returns the share of images, in [0, 1], that are not where they were: 0 for clusters that were only renumbered.

    Clusters of both labelings ``[N]`` are matched one to one, so that as many images as possible stay in the match of
    their cluster; these, and images that are noise in both, have not changed. The same in both directions.
    """
    labels = as_ids("labels", labels)
    before = as_ids("before", before, len(labels))
    is_in = (labels != NOISE) & (before != NOISE)
    stay = int(np.sum((labels == NOISE) & (before == NOISE)))
    if is_in.any():
        counts, rows, columns = _contingency(_codes(labels[is_in]), _codes(before[is_in]))
        # A matching must serve every row: each has a column of its own too, worth nothing, and all are worth 1 more.
        overlap = coo_array((counts + 1, (rows, columns)))
        alone = coo_array((np.ones(overlap.shape[0]), (np.arange(overlap.shape[0]),) * 2))
        both = hstack([overlap, alone], format="csr")
        matched = both[min_weight_full_bipartite_matching(both, maximize=True)]
        stay += int(matched.sum()) - overlap.shape[0]
    return (len(labels) - stay) / len(labels)


def _agreement(clusters: np.ndarray, identities: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score  # sets environment variables

    counts, rows, columns = _contingency(clusters, identities)
    in_cluster = np.bincount(rows, weights=counts)
    of_identity = np.bincount(columns, weights=counts)
    precision = float((counts**2 / in_cluster[rows]).sum() / counts.sum())
    recall = float((counts**2 / of_identity[columns]).sum() / counts.sum())
    largest = np.zeros(len(in_cluster))
    np.maximum.at(largest, rows, counts)
    return {
        "ari": float(adjusted_rand_score(identities, clusters)),
        "nmi": float(normalized_mutual_info_score(identities, clusters)),
        "bcubed_precision": precision,
        "bcubed_recall": recall,
        "bcubed_f": 2 * precision * recall / (precision + recall),
        "pair_precision": _pair_precision(counts, in_cluster),
        "purity": float(largest.sum() / counts.sum()),
    }


def _pair_precision(counts: np.ndarray, in_cluster: np.ndarray) -> float:
    right, all_pairs = (float((sizes * (sizes - 1)).sum()) for sizes in (counts, in_cluster))
    return right / all_pairs if all_pairs else 1.0


def _contingency(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns counts of the pairs of codes that occur, their rows and their columns."""
    width = int(columns.max()) + 1
    pairs, counts = np.unique(rows * width + columns, return_counts=True)
    return counts, *np.divmod(pairs, width)


def _alone(labels: np.ndarray) -> np.ndarray:
    """Returns codes of clusters in which every noise image is one of its own."""
    clusters = _codes(labels)
    is_noise = labels == NOISE
    clusters[is_noise] = len(labels) + np.arange(is_noise.sum())
    return _codes(clusters)


def _codes(column: np.ndarray) -> np.ndarray:
    """Returns int64 from 0 on, by the order of the values."""
    return np.unique(column, return_inverse=True)[1].astype(np.int64)
