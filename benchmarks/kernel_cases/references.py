"""What ours is measured beside: a matrix product, and the ranking of public evaluation codes in plain numpy."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.evaluation.labels import CameraRule

ROWS_AT_ONCE = 2048


def product(query: torch.Tensor, gallery: torch.Tensor) -> None:
    """The floor: every number of ``query`` times ``gallery``, one block after the other into the same memory."""
    blocks = query.split(ROWS_AT_ONCE)
    buffer = torch.empty(len(blocks[0]), len(gallery), device=query.device)
    for block in blocks:
        torch.mm(block, gallery.T, out=buffer[: len(block)])


def rank_by_sorting(
    distances: np.ndarray,
    *,
    query_ids: np.ndarray,
    gallery_ids: np.ndarray,
    query_cameras: np.ndarray,
    gallery_cameras: np.ndarray,
    camera_rule: CameraRule,
    with_identities: bool,
) -> tuple[float, float, np.ndarray]:
    """Returns mAP, mINP and CMC as public codes find them: they sort all galleries, and walk down each.

    The steps are those of deep-person-reid's compiled ranking (3143997, ``rank_cy.pyx``): ``np.argsort`` of the whole
    matrix, who is at each place and whether it is right, int64 [Q, G], for all queries at once, and then, query by
    query, what the protocol removes and the cumulative sums; these are in C there, and in numpy here.
    """
    orders, precisions, penalties, firsts = np.argsort(distances, axis=1), [], [], []
    matches = (gallery_ids[orders] == query_ids[:, None]).astype(np.int64)
    for order, match, identity, camera in zip(orders, matches, query_ids, query_cameras, strict=True):
        ranked_ids, ranked_cameras = gallery_ids[order], gallery_cameras[order]
        removed = (ranked_ids == identity) & (ranked_cameras == camera) & camera_rule.removes_same_camera
        for one, other in camera_rule.unseen:
            removed |= (camera == one) & (ranked_cameras == other)
        ranked_ids, match = ranked_ids[~removed], match[~removed]
        if not match.any():
            continue
        precision = match.cumsum() / np.arange(1, len(match) + 1)
        hits = match.nonzero()[0]
        precisions.append(precision[hits].mean())
        penalties.append(precision[hits[-1]])
        if with_identities:
            ranked_ids = ranked_ids[np.sort(np.unique(ranked_ids, return_index=True)[1])]
        firsts.append((ranked_ids == identity).argmax())
    curve = np.bincount(firsts, minlength=len(gallery_ids)).cumsum() / len(firsts)
    return float(np.mean(precisions)), float(np.mean(penalties)), curve
