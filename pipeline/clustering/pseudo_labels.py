"""Embeddings of an unlabelled data set -> pseudo-labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pipeline.clustering.dbscan import dbscan
from pipeline.neighbors.arrays import as_finite_features
from pipeline.neighbors.cameras import center_cameras
from pipeline.neighbors.jaccard import jaccard_distance, weighted_mean


def find_clusters(
    views: Any,
    cameras: Any,
    *,
    center_cameras: bool,
    local_weight: float,
    k1: int,
    k2: int,
    eps: float,
    min_samples: int,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """Returns the cluster of each image, int64 ``[N]`` from 0 without a gap, -1 for noise.

    The same in every bit for the same embeddings, on whatever device and in however many threads.

    Args:
        views: ``[V, N, D]``, the global view first: features of V views, taken in float32, see ``as_features``.
        cameras: ``[N]``, read with ``center_cameras`` only.
        device: where neighbours are searched.

    Source: arXiv 2204.09931 (tengxiao14/Purification_ReID de659b8): distances .70, .15 and .15 of three views, one
    DBSCAN. With one view Cluster Contrast's (alibaba/cluster-contrast-reid 57b62e9). Centring is ours.
    """
    views = [as_finite_features(f"views[{place}]", view) for place, view in enumerate(views)]
    shares = [1 - local_weight * (len(views) - 1), *[local_weight] * (len(views) - 1)]
    distances = [
        jaccard_distance(
            _centered(view, cameras) if center_cameras else view,
            k1=k1,
            k2=k2,
            metric="cosine",
            convention="cluster_contrast",
            device=device,
        )
        for view, share in zip(views, shares, strict=True)
        if share
    ]
    merged = weighted_mean(distances, [share for share in shares if share])
    return dbscan(merged, eps=eps, min_samples=min_samples)


def _centered(features: np.ndarray, cameras: Any) -> np.ndarray:
    rest = center_cameras(features, cameras)
    return (rest / np.linalg.norm(rest, axis=1, keepdims=True)).astype(np.float32)
