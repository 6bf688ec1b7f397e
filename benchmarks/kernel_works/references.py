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
    """Returns mAP, mINP and CMC as plain numpy code finds them: it sorts all, and walks down query by query.

    The sort is ``np.argsort`` of the whole matrix, which is also what compiled ranking codes of the field call before
    their loop (deep-person-reid 3143997, ``rank_cy.pyx``). They then gather all matches, int64 [Q, G], at once; here it
    is one query at a time, which takes less memory and less time.
    """
    orders, precisions, penalties, firsts = np.argsort(distances, axis=1), [], [], []
    for order, identity, camera in zip(orders, query_ids, query_cameras, strict=True):
        ranked_ids, ranked_cameras = gallery_ids[order], gallery_cameras[order]
        removed = (ranked_ids == identity) & (ranked_cameras == camera) & camera_rule.removes_same_camera
        for one, other in camera_rule.unseen:
            removed |= (camera == one) & (ranked_cameras == other)
        ranked_ids = ranked_ids[~removed]
        is_match = ranked_ids == identity
        if not is_match.any():
            continue
        precision = is_match.cumsum() / np.arange(1, len(is_match) + 1)
        precisions.append(precision[is_match].mean())
        penalties.append(precision[is_match.nonzero()[0][-1]])
        if with_identities:
            ranked_ids = ranked_ids[np.sort(np.unique(ranked_ids, return_index=True)[1])]
        firsts.append((ranked_ids == identity).argmax())
    curve = np.bincount(firsts, minlength=len(gallery_ids)).cumsum() / len(firsts)
    return float(np.mean(precisions)), float(np.mean(penalties)), curve
