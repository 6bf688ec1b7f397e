"""Query expansion: each query becomes a mean of itself and the gallery images nearest to it.

The query side only. Expanding the gallery in the same way (database-side augmentation) is one call more,
``expand_queries(gallery, gallery, ...)``, in which each image is its own first neighbour; it is another protocol and no
part of the evaluation stage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pipeline.evaluation.postprocessing import unit_rows
from pipeline.neighbors.nearest import find_nearest

ROWS_AT_ONCE = 2048  # of queries in one float64 sum


def expand_queries(
    query: Any,
    gallery: Any,
    *,
    neighbors: int,
    alpha: float,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Returns the expanded queries, float32 [Q, D] of length 1, for ``query`` [Q, D] and ``gallery`` [G, D].

    Both are taken in float32, see ``as_features``.

    With all rows at length 1, a query q becomes the direction of ``q + sum of max(0, cos(q, g))^alpha g`` over the
    ``neighbors`` gallery images g of the largest cosine; ties go to the lower gallery row. Sums are float64, nearest
    first, so that the result depends on nothing else.

    Neighbours are taken from the whole gallery. A protocol that later removes the images of the query's own identity
    and camera does not remove them here: who is on an image is what the search is to find, so that no deployed system
    could leave them out. Their influence is part of every published number with query expansion.

    Args:
        neighbors: gallery images that join the query, at most G.
        alpha: 0 gives each image the weight 1: average query expansion (Chum et al., "Total Recall", ICCV 2007).
            Larger numbers trust near images more (Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human
            Annotation", TPAMI 2019, section 3.5; alpha 3 there). Weights of obtuse neighbours are clipped at 0.

    Raises:
        ValueError: for ``neighbors`` outside 1..G, a negative alpha, rows that are not finite or all zeros, and for
            queries that their neighbours cancel out.
    """
    query, gallery = unit_rows(query, "query"), unit_rows(gallery, "gallery")
    if not 1 <= neighbors <= len(gallery):
        raise ValueError(f"neighbors: expected 1 to {len(gallery)}, the size of the gallery, got {neighbors}")
    if not alpha >= 0:
        raise ValueError(f"alpha: expected 0 (plain average) or more, got {alpha}")
    found = find_nearest(query, neighbors, gallery=gallery, metric="cosine", device=device, progress=progress)
    weights = np.maximum(1 - found.distances, 0) ** alpha
    expanded = np.empty_like(query)
    for start in range(0, len(query), ROWS_AT_ONCE):
        piece = slice(start, start + ROWS_AT_ONCE)
        total = query[piece].astype(np.float64)
        for place in range(neighbors):
            total += weights[piece, place, None] * gallery[found.rows[piece, place]]
        expanded[piece] = total
    return unit_rows(expanded, "query after expansion")
