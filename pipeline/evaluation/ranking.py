"""CMC, mAP and mINP of a query set against a gallery by the Market protocol, by counting instead of sorting.

The place of a match in the ranked gallery is one more than the number of valid images nearer than it, and AP, CMC and
mINP need nothing but these places. So each query costs a few passes over its row of distances, and no order of the
gallery is ever made. Queries are taken in blocks: memory is one block of distances beside the embeddings.

Protocol (Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015): gallery images of the query's
identity *and* camera are removed; distractors (``person_id`` 0) stay; junk (-1) was dropped when the data was read;
a query left without a match is not counted in any mean. Ties are pessimistic: a wrong image at exactly the distance of
a match stands before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

CMC_RANKS = (1, 5, 10, 20)
JUNK_ID, DISTRACTOR_ID = -1, 0
ROWS_AT_ONCE = 4096  # of embeddings held in float64
COLUMNS_AT_ONCE = 128  # of embeddings in one float32 product


@dataclass(frozen=True)
class Ranking:
    """What became of every query, all arrays ``[Q]``; queries without a match hold NaN (``first_match``: 0).

    Attributes:
        average_precision: mean of the precision at each match (the standard AP, no trapezoids).
        inverse_negative_penalty: number of matches over the place of the last one (Ye et al., TPAMI 2021, INP).
        first_match: place of the first match, from 1.
        is_valid: whether the query has a match in the gallery after the protocol's removals.
    """

    average_precision: np.ndarray
    inverse_negative_penalty: np.ndarray
    first_match: np.ndarray
    is_valid: np.ndarray

    def cmc(self, rank: int) -> float:
        """Returns the share of valid queries whose first match stands at ``rank`` or before."""
        return float(np.mean(self.first_match[self.is_valid] <= rank))

    def metrics(self) -> dict[str, float]:
        """Returns rank1, rank5, rank10, rank20, mAP, mINP in [0, 1] and the number of queries, all and valid."""
        return {
            **{f"rank{rank}": self.cmc(rank) for rank in CMC_RANKS},
            "mAP": float(np.mean(self.average_precision[self.is_valid])),
            "mINP": float(np.mean(self.inverse_negative_penalty[self.is_valid])),
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
    distance: str,
    block_size: int = 256,
) -> Ranking:
    """Returns the ranking of ``gallery`` [G, D] for every row of ``query`` [Q, D], numpy arrays or tensors.

    The same in every bit for any ``block_size``, order of the gallery and number of threads: the float32 product only
    finds which images could be nearer than a match, and those within its rounding error are compared again, pair by
    pair, in float64 with a fixed order of summation. Cost: one product [Q, G], two passes over it per match.

    Args:
        distance: ``cosine`` or ``euclidean``.
        block_size: queries per block; memory is ``block_size * G * 8`` bytes, the result does not change.

    Raises:
        ValueError: for NaN, infinite or (cosine) zero embeddings, naming the rows; for sizes that do not fit each
            other, an unknown distance, junk, distractors among the queries, and when no query has a match.
    """
    labels = _Labels(query_ids, gallery_ids, query_cameras, gallery_cameras)
    query = _finite_rows("query", _array(query).astype(np.float32, copy=False), len(labels.query_ids))
    gallery = _finite_rows("gallery", _array(gallery).astype(np.float32, copy=False), len(labels.gallery_ids))
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(f"query embeddings have {query.shape[1]} numbers, gallery embeddings {gallery.shape[1]}")
    space = _Space(query, gallery, distance)
    return _collect(labels, _places_in_blocks(labels, space, block_size))


def rank_distances(
    distances: Any, *, query_ids: Any, gallery_ids: Any, query_cameras: Any, gallery_cameras: Any
) -> Ranking:
    """Returns the ranking by given ``distances`` [Q, G] (smaller is nearer), compared exactly as they stand.

    Raises:
        ValueError: as ``rank_embeddings``.
    """
    labels = _Labels(query_ids, gallery_ids, query_cameras, gallery_cameras)
    distances = _finite_rows("distance", _array(distances), len(labels.query_ids))
    if distances.shape[1] != len(labels.gallery_ids):
        raise ValueError(f"distances have {distances.shape[1]} columns for {len(labels.gallery_ids)} gallery images")
    return _collect(labels, _places_by_distance(labels, distances))


class _Labels:
    """Identities and cameras of both sides, and for a query the gallery rows of its identity."""

    def __init__(self, query_ids: Any, gallery_ids: Any, query_cameras: Any, gallery_cameras: Any) -> None:
        self.query_ids, self.query_cameras = _paired("query", query_ids, query_cameras)
        self.gallery_ids, self.gallery_cameras = _paired("gallery", gallery_ids, gallery_cameras)
        if distractors := np.flatnonzero(self.query_ids == DISTRACTOR_ID).tolist():
            raise ValueError(f"query rows {distractors[:10]} are distractors (person_id 0): they can match nothing")
        self.by_identity = np.argsort(self.gallery_ids, kind="stable")
        ordered = self.gallery_ids[self.by_identity]
        self.starts = np.searchsorted(ordered, self.query_ids, side="left")
        self.stops = np.searchsorted(ordered, self.query_ids, side="right")
        self.valid = [query for query in range(len(self.query_ids)) if len(self.of(query)[1])]
        if not self.valid:
            raise ValueError(
                f"none of the {len(self.query_ids)} queries has an image of its identity from another camera among "
                f"the {len(self.gallery_ids)} gallery images: check the split, the ids and the cameras"
            )

    def of(self, query: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the gallery rows of the query's identity, and those of them seen by another camera: its matches."""
        same = self.by_identity[self.starts[query] : self.stops[query]]
        return same, same[self.gallery_cameras[same] != self.query_cameras[query]]


class _Space:
    """Both sides as float32 rows of length at most 1, such that half their squared distance orders the gallery.

    Cosine: rows of length 1, for which ``|q - g|^2 / 2 = 1 - cos(q, g)``. Euclidean: rows over a common power of two,
    which loses nothing and keeps every sum in range.
    """

    def __init__(self, query: np.ndarray, gallery: np.ndarray, distance: str) -> None:
        lengths = [np.sqrt(_squares(side)) for side in (query, gallery)]
        match distance:
            case "cosine":
                for side, rows in zip(("query", "gallery"), lengths, strict=True):
                    if zeros := np.flatnonzero(rows == 0).tolist():
                        raise ValueError(f"{side} rows {zeros[:10]} are all zeros: no direction to take a cosine of")
            case "euclidean":
                scale = np.ldexp(1.0, int(np.frexp(max(rows.max() for rows in lengths))[1]))
                lengths = [np.full(len(rows), scale) for rows in lengths]
            case _:
                raise ValueError(f"distance: expected cosine or euclidean, got {distance!r}")
        self.query, self.gallery = _divided(query, lengths[0]), _divided(gallery, lengths[1])
        self.query_halves, self.gallery_halves = (
            torch.from_numpy((_squares(rows) / 2).astype(np.float32)) for rows in (self.query, self.gallery)
        )
        # Halves are at most 1/2 and sums of products at most 1, whatever their order of summation. With u = 2^-24, a
        # product over n columns is off by at most n u, adding it to a sum below 2 by 2 u; 8 u hold all the rest.
        columns = query.shape[1]
        self.margin = (COLUMNS_AT_ONCE + 2 * math.ceil(columns / COLUMNS_AT_ONCE) + 8) * 2.0**-24

    def rough(self, queries: list[int]) -> np.ndarray:
        """Returns distances [len(queries), G] in float32, off by less than ``margin``.

        A few columns at a time, so that the margin hardly grows with the size of the embedding.
        """
        query, gallery = torch.from_numpy(self.query[queries]), torch.from_numpy(self.gallery)
        rough = self.query_halves[queries, None] + self.gallery_halves
        for part, other in zip(query.split(COLUMNS_AT_ONCE, 1), gallery.split(COLUMNS_AT_ONCE, 1), strict=True):
            rough.addmm_(part, other.T, alpha=-1)
        return rough.numpy()

    def exact(self, query: int, rows: np.ndarray) -> np.ndarray:
        """Returns distances of the gallery ``rows`` in float64, each the same whatever rows stand beside it."""
        row = self.query[query].astype(np.float64)
        pieces = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]
        return np.concatenate([np.square(self.gallery[piece] - row).sum(axis=1) / 2 for piece in pieces])


def _places_in_blocks(labels: _Labels, space: _Space, block_size: int) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(labels.valid), block_size):
        queries = labels.valid[start : start + block_size]
        for query, row in zip(queries, space.rough(queries), strict=True):
            same, matches = labels.of(query)
            thresholds = np.sort(space.exact(query, matches))
            row[same] = np.inf
            yield query, _places(_count_nearer(space, query, row, thresholds))


def _count_nearer(space: _Space, query: int, row: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns how many images of the rough ``row`` [G] are exactly at each of the rising ``thresholds`` or nearer."""
    below, above = (thresholds - space.margin).astype(np.float32), (thresholds + space.margin).astype(np.float32)
    candidates = np.flatnonzero(row <= above[-1])
    rough = row[candidates]
    nearer = np.array([np.count_nonzero(rough < edge) for edge in below])
    not_farther = np.array([np.count_nonzero(rough <= edge) for edge in above])
    unclear = np.flatnonzero(nearer != not_farther)
    if unclear.size:
        within = np.zeros(len(rough), dtype=bool)
        for match in unclear:
            within |= (rough >= below[match]) & (rough <= above[match])
        rough, exact = rough[within], space.exact(query, candidates[within])
        for match in unclear:
            nearer[match] += np.count_nonzero((rough >= below[match]) & (exact <= thresholds[match]))
    return nearer


def _places_by_distance(labels: _Labels, distances: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for query in labels.valid:
        same, matches = labels.of(query)
        row = distances[query].copy()
        row[same] = np.inf
        thresholds = np.sort(distances[query, matches])
        row = row[row <= thresholds[-1]]
        yield query, _places(np.array([np.count_nonzero(row <= threshold) for threshold in thresholds]))


def _places(nearer: np.ndarray) -> np.ndarray:
    """Returns the places, from 1, of matches in rising order that have ``nearer`` wrong images before them."""
    return nearer + np.arange(1, len(nearer) + 1)


def _collect(labels: _Labels, places_of_queries: Iterable[tuple[int, np.ndarray]]) -> Ranking:
    num_queries = len(labels.query_ids)
    precision, penalty = np.full(num_queries, np.nan), np.full(num_queries, np.nan)
    first_match = np.zeros(num_queries, dtype=np.int64)
    for query, places in places_of_queries:
        precision[query] = np.mean(np.arange(1, len(places) + 1) / places)
        penalty[query] = len(places) / places[-1]
        first_match[query] = places[0]
    return Ranking(precision, penalty, first_match, is_valid=first_match > 0)


def _paired(side: str, ids: Any, cameras: Any) -> tuple[np.ndarray, np.ndarray]:
    ids, cameras = np.asarray(ids), np.asarray(cameras)
    if ids.ndim != 1 or ids.shape != cameras.shape:
        raise ValueError(f"{side}: expected ids [N] and cameras [N], got {list(ids.shape)} and {list(cameras.shape)}")
    if not len(ids):
        raise ValueError(f"there are no {side} images: nothing can be ranked")
    if junk := np.flatnonzero(ids == JUNK_ID).tolist():
        raise ValueError(f"{side} rows {junk[:10]} are junk (person_id -1): drop them when the data is read")
    return ids, cameras


def _array(rows: Any) -> np.ndarray:
    """Returns a tensor or array as float64 if it is that, else as float32."""
    if isinstance(rows, torch.Tensor):
        rows = rows.detach().cpu()
        return (rows if rows.dtype == torch.float64 else rows.float()).numpy()
    rows = np.asarray(rows)
    return rows if rows.dtype == np.float64 else rows.astype(np.float32, copy=False)


def _finite_rows(side: str, rows: np.ndarray, count: int) -> np.ndarray:
    """Returns ``rows``, ensured to be [count, columns] without NaN and infinity."""
    if rows.ndim != 2 or len(rows) != count or not rows.shape[1]:
        raise ValueError(f"{side} rows: expected [{count}, columns], as there are {count} ids, got {list(rows.shape)}")
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1)).tolist()
    if broken:
        raise ValueError(f"NaN or infinity in {len(broken)} {side} rows, the first are {broken[:10]}")
    return rows


def _squares(rows: np.ndarray) -> np.ndarray:
    """Returns the squared lengths [N] in float64."""
    pieces = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]
    return np.concatenate([np.square(piece.astype(np.float64)).sum(axis=1) for piece in pieces])


def _divided(rows: np.ndarray, divisors: np.ndarray) -> np.ndarray:
    """Returns each row over its divisor, rounded once to float32."""
    divided = np.empty(rows.shape, dtype=np.float32)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        piece = slice(start, start + ROWS_AT_ONCE)
        divided[piece] = rows[piece].astype(np.float64) / divisors[piece, None]
    return divided
