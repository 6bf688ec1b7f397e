"""A network -> the embeddings of a store's rows."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.batches.loading import Loader
from pipeline.images.store import ImageStore
from pipeline.layers.embedder import Embedder
from pipeline.progress import ProgressLine
from pipeline.training.embed import embed
from pipeline.training.precision import use_plain_float32
from pipeline.training.workers import Workers


def embed_rows(
    embedder: Embedder, store: ImageStore, rows: np.ndarray, *, batch: int, flip: bool = False, what: str = "embedding"
) -> np.ndarray:
    """Returns what ``embedder`` makes of ``rows``, float32 ``[len(rows), D]``, computed on a GPU where there is one.

    ``batch`` images at a time; ``flip`` adds what it makes of the mirrored images. ``what`` names it in the progress.
    """
    use_plain_float32()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = Loader(store.images, store.cameras, store.is_infrared, None, device=device, dtype=torch.float32)
    return embed(
        embedder.to(device, torch.float32),
        loader,
        rows,
        batch_size=batch,
        workers=Workers(0, 1),
        flip=flip,
        progress=ProgressLine(what),
    ).numpy()
