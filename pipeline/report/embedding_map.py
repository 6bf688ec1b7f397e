"""Embeddings on a plane: which identities stand together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.evaluation.postprocessing import unit_rows
from pipeline.images.table import DISTRACTOR

IDENTITIES, OTHERS_AT_MOST = 10, 200
COMPONENTS, PERPLEXITY, SEED = 32, 20.0, 0


def shown_rows(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows of a table of test images ``[N]``, and to which of the identities to mark each belongs, else -1."""
    persons = table["person_id"].to_numpy()
    identities = np.unique(persons[persons != DISTRACTOR])
    marked = identities[np.linspace(0, len(identities) - 1, min(IDENTITIES, len(identities))).astype(int)]
    others = np.flatnonzero(~np.isin(persons, marked))
    others = others[:: max(1, -(-len(others) // OTHERS_AT_MOST))]
    groups = np.full(len(persons), -1)
    for group, person in enumerate(marked):
        groups[persons == person] = group
    rows = np.concatenate([np.flatnonzero(groups >= 0), others])
    return rows, groups[rows]


def project(embeddings: np.ndarray) -> np.ndarray:
    """Returns points ``[N, 2]``: PCA of the embeddings at length 1, then t-SNE; the same bits every time."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    units = unit_rows(embeddings)
    components = min(COMPONENTS, *units.shape)
    with threadpool_limits(1):
        reduced = PCA(components, svd_solver="full", random_state=SEED).fit_transform(units)
        perplexity = min(PERPLEXITY, (len(units) - 1) / 3)
        return TSNE(perplexity=perplexity, init="pca", random_state=SEED, max_iter=400).fit_transform(reduced)
