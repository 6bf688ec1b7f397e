"""What a camera does to all of its images alike, taken out of their embeddings."""

from __future__ import annotations

import numpy as np

NOTHING_LEFT = 1e-6  # of a feature's length: the rounding of float32 features, not a difference from the mean


def center_cameras(features: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Returns ``features`` [N, D] less the mean feature of their camera, float64.

    Light, height, background and resolution of a camera are in that mean, taken in float64 over all rows with its
    number in ``cameras`` [N]; whoever passes queries and gallery together gives both sides the same mean. An image at
    its camera's mean, such as a camera's only one, keeps its feature: less the mean it would have no direction.

    Raises:
        ValueError: for rows that are not finite, naming them, and unless there is a camera for each row.
    """
    cameras = np.asarray(cameras)
    if cameras.shape != (len(features),):
        raise ValueError(f"expected a camera for each of {len(features)} features, got {list(cameras.shape)}")
    if broken := np.flatnonzero(~np.isfinite(features).all(axis=1)).tolist():
        raise ValueError(f"NaN or infinity in {len(broken)} feature rows, the first are {broken[:10]}")
    centered = features.astype(np.float64)
    for camera in np.unique(cameras):
        rows = np.flatnonzero(cameras == camera)
        rest = centered[rows] - centered[rows].mean(axis=0)
        is_mean = np.linalg.norm(rest, axis=1) <= NOTHING_LEFT * np.linalg.norm(centered[rows], axis=1)
        centered[rows[~is_mean]] = rest[~is_mean]
    return centered
