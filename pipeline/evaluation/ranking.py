"""CMC, mAP and mINP of a query set against a gallery, by counting instead of sorting.

The place of a match in the ranked gallery is one more than the number of images nearer than it, and AP, CMC and mINP
need nothing but these places: no order of a gallery is ever made. Memory is a tile of distances beside the embeddings.

Protocol, if nothing else is said (Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015): gallery
images of the query's identity *and* camera are removed; distractors (``person_id`` 0) stay; junk (-1) was dropped when
the data was read; a query left without a match is not counted in any mean. Ties are pessimistic: a wrong image at
exactly the distance of a match stands before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch

from pipeline.evaluation.counting import Distances, Nearer, count_nearer
from pipeline.evaluation.labels import SAME_CAMERA_REMOVED, CameraRule, Labels
from pipeline.evaluation.metrics import of_ranking
from pipeline.evaluation.precomputed import count_nearer_precomputed
from pipeline.neighbors.arrays import as_distances
from pipeline.neighbors.space import Space

COLUMNS_AT_ONCE = 256  # of one product of embeddings: a margin of 1.6e-5 in cosine distance, at full speed
AVERAGE_PRECISIONS = {
    "standard": "mean precision at each match",
    "trapezoid": "mean of the precision at each match and before it",
}
"""How AP is taken, and the words that stamps have for it.

``trapezoid`` averages the precision i / p at the i-th match, at place p, with (i - 1) / (p - 1) at the place before (1
where there is none), as the evaluation code that came with Market-1501 does (``compute_AP.m``).
"""


@dataclass(frozen=True)
class Ranking:
    """What became of every query, all arrays ``[Q]``; queries without a match hold NaN (``first_match``: 0).

    Attributes:
        average_precision: of the kind that was asked for, one of ``AVERAGE_PRECISIONS``.
        inverse_negative_penalty: number of matches over the place of the last one (Ye et al., TPAMI 2021, INP).
        first_match: place of the first match, from 1; counted in identities where these were asked for.
        is_valid: whether the query has a match in the gallery after the protocol's removals.
    """

    average_precision: np.ndarray
    inverse_negative_penalty: np.ndarray
    first_match: np.ndarray
    is_valid: np.ndarray

    def cmc(self, rank: int) -> float:
        """Returns the share of valid queries whose first match stands at ``rank`` or before."""
        return float(np.mean(self.first_match[self.is_valid] <= rank))

    def mean(self, values: np.ndarray) -> float:
        """Returns the mean over the valid queries of what each has, ``[Q]``."""
        return float(np.mean(values[self.is_valid]))

    def metrics(self) -> dict[str, float]:
        """Returns the metrics (``pipeline.evaluation.metrics``) and the number of queries, all and valid."""
        return {
            **of_ranking(self),
            "num_queries": len(self.is_valid),
            "num_valid_queries": int(self.is_valid.sum()),
        }


def rank_embeddings(
    query: Any,
    gallery: Any,
    *,
    query_ids: Any,
    gallery_ids: Any,
    query_cameras: Any,
    gallery_cameras: Any,
    metric: str,
    camera_rule: CameraRule = SAME_CAMERA_REMOVED,
    own_rows: Any = None,
    average_precision: str = "standard",
    with_identities: bool = False,
    block_size: int = 2048,
    device: str | torch.device = "cpu",
) -> Ranking:
    """Returns the ranking of ``gallery`` [G, D] for every row of ``query`` [Q, D].

    The same in every bit for any ``block_size``, order of the gallery, number of threads and device: float32 products
    only find which images could be nearer than a match, and those within their proved margin are compared again, pair
    by pair, in float64 with a fixed order of summation. Cost: one product [Q, G], two passes over it per match.

    Args:
        query, gallery: arrays, tensors or lists, taken in float32: see ``as_features``.
        query_ids, query_cameras, gallery_ids, gallery_cameras: [Q] and [G], whole numbers or texts: see ``as_ids``.
        metric: ``cosine`` or ``euclidean``.
        camera_rule: which gallery images a query does not see.
        own_rows: [Q], the gallery row of each query's own image, which it does not see; -1 where there is none.
        average_precision: ``standard`` or ``trapezoid``.
        with_identities: counts the place of the first match in identities, each at its nearest image, as SYSU-MM01
            and LLCM do; AP and INP are by images in any case.
        block_size: rows and columns of a tile; the result does not change.
        device: where products are made.

    Raises:
        ValueError: for NaN, infinite or (cosine) zero embeddings, naming the rows; for sizes that do not fit each
            other, an unknown metric, junk, distractors among the queries, and when no query has a match.
    """
    labels = Labels(query_ids, gallery_ids, query_cameras, gallery_cameras, camera_rule, own_rows)
    space = make_space(query, gallery, metric, device)
    labels.check_rows(*space.shape)
    return rank_by(
        space,
        labels,
        average_precision=average_precision,
        with_identities=with_identities,
        block_size=block_size,
    )


def rank_by(
    distances: Distances, labels: Labels, *, average_precision: str, with_identities: bool, block_size: int = 2048
) -> Ranking:
    """Returns the ranking by ``distances`` that are made where they are needed; see ``rank_embeddings``."""
    counts = count_nearer(labels, distances, block_size=block_size, with_identities=with_identities)
    return _collect(labels, counts, average_precision)


def rank_distances(
    distances: Any,
    *,
    query_ids: Any,
    gallery_ids: Any,
    query_cameras: Any,
    gallery_cameras: Any,
    camera_rule: CameraRule = SAME_CAMERA_REMOVED,
    own_rows: Any = None,
    average_precision: str = "standard",
    with_identities: bool = False,
) -> Ranking:
    """Returns the ranking by given ``distances`` [Q, G] (smaller is nearer), compared exactly as they stand.

    Arguments and errors as those of ``rank_embeddings``; NaN and infinity are found in the pass that counts.

    Args:
        distances: array, tensor or lists, float32 or float64: see ``as_distances``; or what ``rerank`` returns.
    """
    labels = Labels(query_ids, gallery_ids, query_cameras, gallery_cameras, camera_rule, own_rows)
    if isinstance(distances, Distances):
        labels.check_rows(*distances.shape)
        return rank_by(distances, labels, average_precision=average_precision, with_identities=with_identities)
    distances = as_distances("distances", distances, (labels.num_queries, labels.num_gallery))
    counts = count_nearer_precomputed(labels, distances, with_identities=with_identities)
    return _collect(labels, counts, average_precision)


def make_space(query: Any, gallery: Any, metric: str, device: str | torch.device) -> Space:
    """Returns the space of both sides' embeddings, in tiles that are quick to rank by; errors as ``Space``."""
    return Space(query, gallery, metric, device, columns_at_once=COLUMNS_AT_ONCE)


def _collect(labels: Labels, counts: Iterable[Nearer], average_precision: str) -> Ranking:
    if average_precision not in AVERAGE_PRECISIONS:
        raise ValueError(f"average_precision: expected standard or trapezoid, got {average_precision!r}")
    precision, penalty = np.full(labels.num_queries, np.nan), np.full(labels.num_queries, np.nan)
    first_match = np.zeros(labels.num_queries, dtype=np.int64)
    for part in counts:
        of_block = precision[part.queries], penalty[part.queries], first_match[part.queries]
        _score(part.images, part.num_matches, average_precision == "trapezoid", *of_block)
        if part.identities is not None:
            first_match[part.queries] = np.where(part.num_matches > 0, part.identities + 1, 0)
    return Ranking(precision, penalty, first_match, is_valid=labels.num_matches > 0)


@numba.njit(cache=True, nogil=True)
def _score(images, num_matches, is_trapezoid, precision, penalty, first_match):  # type: ignore[no-untyped-def]
    """Writes what becomes of each query; sums run from the first match to the last."""
    for row in range(len(num_matches)):
        size, total = num_matches[row], 0.0
        if size == 0:
            continue
        for match in range(size):
            place = images[row, match] + match + 1
            if is_trapezoid:
                before = match / (place - 1) if place > 1 else 1.0
                total += ((match + 1) / place + before) / 2
            else:
                total += (match + 1) / place
        precision[row] = total / size
        penalty[row] = size / (images[row, size - 1] + size)
        first_match[row] = images[row, 0] + 1
