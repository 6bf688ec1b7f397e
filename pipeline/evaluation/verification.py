"""Verification: how many pairs of one person are accepted when a given share of the wrong pairs is.

A threshold that lets the k nearest wrong pairs through accepts all right pairs that are strictly nearer than the wrong
pair k + 1. So only the nearest wrong pairs matter, as many as the largest share asks for, and only the few of them
within the margin of a cut are measured exactly. Memory: these pairs, distances of the right ones, a tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from pipeline.evaluation.counting import REMOVED, Distances, count_up_to, find_between, pieces, remove
from pipeline.evaluation.labels import SAME_CAMERA_REMOVED, CameraRule, Labels
from pipeline.evaluation.ranking import make_space
from pipeline.neighbors.threads import over_rows

SPARE = 1 << 18  # pairs beyond those needed that are kept before they are looked through
BELOW_REMOVED = float(np.nextafter(REMOVED, np.float32(0)))


def verify_embeddings(
    query: Any,
    gallery: Any,
    *,
    query_ids: Any,
    gallery_ids: Any,
    query_cameras: Any,
    gallery_cameras: Any,
    metric: str,
    false_positive_rates: Sequence[float],
    camera_rule: CameraRule = SAME_CAMERA_REMOVED,
    own_rows: Any = None,
    block_size: int = 2048,
    device: str | torch.device = "cpu",
) -> dict[float, float]:
    """Returns the true positive rate at each of the ``false_positive_rates``, over all pairs that a camera rule leaves.

    A pair is a query and a gallery image, right if they show one person; distractors make wrong pairs, and a query
    without a match does too. The threshold at a rate f lets floor(f x number of wrong pairs) wrong pairs through, or
    fewer where more are tied: ties are pessimistic. Exact, and the same for any block size, order, device and threads.

    Arguments and errors otherwise as ``rank_embeddings``.

    Raises:
        ValueError: for rates that are not in [0, 1), and when there is no wrong pair.

    Differs: JDAI-CV/fast-reid c9bc3ce (``roc.py``, ``reid_evaluation.py``) gives scikit-learn's ``roc_curve`` the
    distances as scores of *wrong* pairs, so what it prints as TPR at FPR f is the share of wrong pairs rejected where a
    share f of the right ones is, at the nearest point of its curve. Here the words mean what they do in verification.
    """
    labels = Labels(query_ids, gallery_ids, query_cameras, gallery_cameras, camera_rule, own_rows)
    space = make_space(query, gallery, metric, device)
    labels.check_rows(*space.shape)
    return verify(space, labels, false_positive_rates=false_positive_rates, block_size=block_size)


def verify(
    distances: Distances, labels: Labels, *, false_positive_rates: Sequence[float], block_size: int = 2048
) -> dict[float, float]:
    """Returns the rates by ``distances`` that are made where they are needed; see ``verify_embeddings``."""
    if wrong := [rate for rate in false_positive_rates if not 0 <= rate < 1]:
        raise ValueError(f"false_positive_rates: expected shares in [0, 1), got {wrong}")
    num_wrong = int(labels.num_wrong.sum())
    if not num_wrong:
        raise ValueError("every pair shows one person: there is no wrong pair to be accepted")
    let_through = {rate: int(Fraction(str(rate)) * num_wrong) for rate in false_positive_rates}
    nearest = _NearestWrong(distances, max(let_through.values()) + 1)
    right = []
    for queries in labels.blocks(block_size):
        same = labels.same(queries)
        right.append(distances.exact(same.rows[same.is_match] + queries.start, same.columns[same.is_match]))
        for columns in pieces(labels.num_gallery, block_size):
            tile = distances.rough(queries, columns)
            remove(tile, columns, labels, queries, same)
            nearest.add(tile, queries, columns)
    accepted = np.concatenate(right)
    return {rate: float(np.mean(accepted < nearest.exact(count))) for rate, count in let_through.items()}


class _NearestWrong:
    """The ``wanted`` nearest pairs of all that are added, by their rough distances."""

    def __init__(self, distances: Distances, wanted: int) -> None:
        self._distances, self._wanted = distances, wanted
        self._reach = 2 * float(distances.margin.max())
        self._cutoff = BELOW_REMOVED
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # values, rows, columns
        self._size = 0

    def add(self, tile: Tensor, queries: slice, columns: slice) -> None:
        """Takes in what may be among the nearest of a tile."""
        values, rows, places = _collect(tile, self._cutoff)
        self._parts.append((values, rows + queries.start, places + columns.start))
        self._size += len(values)
        if self._size > 2 * self._wanted + SPARE:
            self._prune()

    def exact(self, place: int) -> float:
        """Returns the exact distance of the pair at ``place`` from 0, nearest first."""
        values, rows, columns = self._joined()
        rough = np.partition(values, place)[place]
        beyond = values - rough
        is_near = np.abs(beyond) <= self._reach
        exact = self._distances.exact(rows[is_near], columns[is_near])
        return float(np.sort(exact)[place - np.count_nonzero(beyond < -self._reach)])

    def _prune(self) -> None:
        """Drops what is not among the nearest; where too much is too close to tell, it is measured."""
        values, rows, columns = self._joined()
        last = _smallest(values, self._wanted)
        if np.count_nonzero(values <= last + self._reach) > 2 * self._wanted + SPARE:
            values = self._distances.exact(rows, columns)
            last = _smallest(values, self._wanted)
            kept = np.argpartition(values, self._wanted - 1)[: self._wanted]
        else:
            kept = np.flatnonzero(values <= last + self._reach)
        self._parts, self._size = [(values[kept], rows[kept], columns[kept])], len(kept)
        self._cutoff = min(last + self._reach, BELOW_REMOVED)

    def _joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values, rows, columns = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        self._parts = [(values, rows, columns)]
        return values, rows, columns


def _smallest(values: np.ndarray, count: int) -> float:
    """Returns the largest of the ``count`` smallest values."""
    return float(np.partition(values, count - 1)[count - 1])


def _collect(tile: Tensor, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns values (float64), rows and columns of all in the tile that are at most ``cutoff``."""
    edge = np.nextafter(np.float32(cutoff), REMOVED) if cutoff < BELOW_REMOVED else np.float32(BELOW_REMOVED)
    if tile.device.type != "cpu":
        at = torch.nonzero(tile <= float(edge), as_tuple=True)
        return tile[at].double().cpu().numpy(), at[0].cpu().numpy(), at[1].cpu().numpy()
    found = []

    def keep(start: int, stop: int) -> None:
        found.append(_collect_rows(start, stop, tile.numpy(), edge))

    over_rows(keep, len(tile))
    rows, columns = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return tile.numpy()[rows, columns].astype(np.float64), rows, columns


@numba.njit(cache=True, nogil=True)
def _collect_rows(start, stop, tile, edge):  # type: ignore[no-untyped-def]
    total = 0
    for row in range(start, stop):
        total += count_up_to(tile[row], edge)
    rows, columns, found = np.empty(total, np.int64), np.empty(total, np.int64), 0
    for row in range(start, stop):
        count = count_up_to(tile[row], edge)
        find_between(tile[row], np.float32(-np.inf), edge, columns[found:])
        rows[found : found + count] = row
        found += count
    return rows, columns
