"""What is measured of a network beside retrieval by its whole embedding: the numbers that claims are about."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.evaluation.foreground import measure_overlap
from pipeline.evaluation.modalities import measure_modalities
from pipeline.images.store import ImageStore
from pipeline.layers.embedder import Embedder
from pipeline.scoring.comparison import EvaluationParams, compare, searches_of
from pipeline.scoring.embedding import embed_rows
from pipeline.training.method import Method

MEASURES_FILE = "measures.json"


def measure(
    method: Method,
    store: ImageStore,
    rows: np.ndarray,
    embeddings: np.ndarray,
    params: EvaluationParams,
    draws: pd.DataFrame | None,
) -> dict[str, float]:
    """Returns measures of a network by name; ``embeddings`` ``[len(rows), D]`` are those of the store's ``rows``.

    ``draws`` as in ``compare``.

    ====================== =============================================================================================
    parameters             weights that training moves
    PART/mAP, PART/rank1   of retrieval by a part of the embedding (``Method.embedding_parts``) alone; where a data set
                           has several searches, of the first
    modality_spread, _gap  where there are two modalities, see ``measure_modalities``
    NAME/iou, ...          where there are true masks, of what the network takes for the person
                           (``Method.foregrounds``), see ``measure_overlap``
    ====================== =============================================================================================
    """
    table = store.table.iloc[rows]
    found = {"parameters": float(sum(weight.numel() for weight in method.network.parameters() if weight.requires_grad))}
    search = next(iter(searches_of(store.meta["protocol"], params).values()))
    given = draws if search.draws == "official" else None
    for part, columns in method.embedding_parts().items():
        metrics = compare(embeddings[:, columns], table, search, params, given).metrics
        found |= {f"{part}/{name}": metrics[name] for name in ("mAP", "rank1")}
    person_ids = table["person_id"].to_numpy()
    known = person_ids > 0
    found |= measure_modalities(embeddings[known], person_ids[known], store.is_infrared[rows][known])
    return found | dict(_of_foregrounds(method.foregrounds(), store, rows, params))


def _of_foregrounds(
    embedders: dict[str, Embedder], store: ImageStore, rows: np.ndarray, params: EvaluationParams
) -> Iterator[tuple[str, float]]:
    if store.masks is None:
        return
    masks = np.asarray(store.masks[rows]).reshape(len(rows), -1)
    for name, embedder in embedders.items():
        shares = embed_rows(embedder, store, rows, batch=params.batch, what=name)
        yield from ((f"{name}/{measure}", value) for measure, value in measure_overlap(shares, masks).items())
