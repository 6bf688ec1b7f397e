"""What a camera does to all of its images alike, taken out of their embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.neighbors.arrays import as_finite_features, as_ids

NOTHING_LEFT = 1e-6  # of a feature's length: the rounding of float32 features, not a difference from the mean


def center_cameras(features: Any, cameras: Any) -> np.ndarray:
    """Returns ``features`` [N, D] less the mean feature of their camera, float64.

    Features are taken in float32, see ``as_features``, and cameras as whole numbers or texts.
    Light, height, background and resolution of a camera are in that mean, taken in float64 over all rows with its
    number in ``cameras`` [N]; whoever passes queries and gallery together gives both sides the same mean. An image at
    its camera's mean, such as a camera's only one, keeps its feature: less the mean it would have no direction.

    Raises:
        ValueError: for rows that are not finite, naming them, and unless there is a camera for each row.
    """
    features = as_finite_features("features", features)
    cameras = as_ids("cameras", cameras, len(features))
    centered = features.astype(np.float64)
    for camera in np.unique(cameras):
        rows = np.flatnonzero(cameras == camera)
        rest = centered[rows] - centered[rows].mean(axis=0)
        is_mean = np.linalg.norm(rest, axis=1) <= NOTHING_LEFT * np.linalg.norm(centered[rows], axis=1)
        centered[rows[~is_mean]] = rest[~is_mean]
    return centered
