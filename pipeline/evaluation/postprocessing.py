"""What is done to finished features before they are compared: unit length and whitening.

Whitening, as ``pipeline/neighbors/cameras.py``, looks at the test images themselves, without identities, so that a
number that used it is of another protocol than one that did not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.neighbors.arrays import as_finite_features, check_columns, refuse_rows

ROWS_AT_ONCE = 4096  # of features held in float64
NO_VARIANCE = 1e-10  # of the first component's: what float32 features can't hold


def unit_rows(features: Any, name: str = "features") -> np.ndarray:
    """Returns ``features`` [N, D] at length 1, float32, divided in float64; ``name`` is theirs in messages.

    They are taken in float32, see ``as_features``.

    Raises:
        ValueError: for rows that are not finite or all zeros, naming them.
    """
    features = as_finite_features(name, features)
    refuse_rows(~features.any(axis=1), name, "are all zeros: they have no direction")
    result = np.empty_like(features)
    for start in range(0, len(features), ROWS_AT_ONCE):
        rows = features[start : start + ROWS_AT_ONCE].astype(np.float64)
        lengths = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
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
    features, fitted_on = as_finite_features("features", features), as_finite_features("fitted_on", fitted_on)
    check_columns("features", features, "fitted_on", fitted_on)
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
