"""What is done to finished features before they are compared: unit length and whitening.

Whitening, as ``pipeline/neighbors/cameras.py``, looks at the test images themselves, without identities, so that a
number that used it is of another protocol than one that did not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

ROWS_AT_ONCE = 4096  # of features held in float64
NO_VARIANCE = 1e-10  # of the first component's: what float32 features can't hold


def unit_rows(features: Any, side: str = "feature") -> np.ndarray:
    """Returns ``features`` [N, D] at length 1, float32, divided in float64; ``side`` names them in messages.

    Raises:
        ValueError: for rows that are not finite or all zeros, naming them.
    """
    features = _checked(features, side)
    result = np.empty_like(features)
    for start in range(0, len(features), ROWS_AT_ONCE):
        rows = features[start : start + ROWS_AT_ONCE].astype(np.float64)
        lengths = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
        if zeros := (start + np.flatnonzero(lengths == 0)).tolist():
            raise ValueError(f"{side} rows {zeros[:10]} are all zeros: they have no direction")
        result[start : start + ROWS_AT_ONCE] = rows / lengths
    return result


def whiten(features: Any, *, fitted_on: Any, components: int) -> np.ndarray:
    """Returns ``features`` [N, D] on the first principal components of ``fitted_on`` [M, D], each at variance 1.

    float32 [N, components]. Components are found in float64 by scikit-learn's PCA from the covariance; their signs are
    arbitrary, which no distance sees. Fit it on gallery or on training features, never on queries: a system meets them
    one at a time. Source: Jegou & Chum, "Negative evidences and co-occurences in image retrieval: the benefit of PCA
    and whitening", ECCV 2012.

    Raises:
        ValueError: for rows that are not finite, other sizes of the two, fitted features that are all the same, and
            more components than they vary in.
    """
    features, fitted_on = _checked(features, "feature"), _checked(fitted_on, "fitted feature")
    if features.shape[1] != fitted_on.shape[1]:
        raise ValueError(f"whitening fitted on {fitted_on.shape[1]} numbers can't take {features.shape[1]}")
    most = min(len(fitted_on) - 1, fitted_on.shape[1])
    if not 1 <= components <= most:
        raise ValueError(
            f"components: expected 1 to {most}, as whitening is fitted on {list(fitted_on.shape)} features, "
            f"got {components}"
        )
    if (fitted_on == fitted_on[0]).all():
        raise ValueError("the fitted features are all the same: there is nothing to whiten")
    from sklearn.decomposition import PCA  # its import sets environment variables

    fitted = PCA(components, whiten=True, svd_solver="covariance_eigh").fit(fitted_on.astype(np.float64))
    variances = fitted.explained_variance_
    if variances[-1] <= NO_VARIANCE * variances[0]:
        there = int(np.count_nonzero(variances > NO_VARIANCE * variances[0]))
        raise ValueError(f"components: the fitted features vary in {there} directions only, got {components}")
    pieces = range(0, len(features), ROWS_AT_ONCE)
    whitened = [fitted.transform(features[start : start + ROWS_AT_ONCE].astype(np.float64)) for start in pieces]
    return np.concatenate(whitened).astype(np.float32)


def _checked(features: Any, side: str) -> np.ndarray:
    if isinstance(features, torch.Tensor):
        features = features.detach().cpu().float().numpy()
    features = np.ascontiguousarray(features, dtype=np.float32)
    if features.ndim != 2 or not features.size:
        raise ValueError(f"{side} rows: expected [N, columns], got {list(features.shape)}")
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1)).tolist()
    if broken:
        raise ValueError(f"NaN or infinity in {len(broken)} {side} rows, the first are {broken[:10]}")
    return features
