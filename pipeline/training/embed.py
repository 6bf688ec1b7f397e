"""Embeds images of a store, in batches that are the same whatever the number of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.batches.loading import Loader
from pipeline.layers.embedder import Embedder
from pipeline.training.workers import Workers


@torch.no_grad()
def embed(
    embedder: Embedder,
    loader: Loader,
    rows: np.ndarray,
    *,
    batch_size: int,
    workers: Workers,
    flip: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Returns the embeddings ``[len(rows), D]`` on the CPU, in the order of ``rows``, on every worker.

    Batches are dealt to the workers in turn and run with the embedder in evaluation mode; afterwards each of its
    layers is in the mode that it was in. ``flip`` adds the embedding of the mirrored image; ``progress`` is called with
    the numbers of batches done by this worker and of all of its batches.
    """
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    own = batches[workers.rank :: workers.size]
    parts = []
    with _evaluating(embedder):
        for done, batch in enumerate(own, start=1):
            parts.append(_embed_batch(embedder, loader.plain(batch), loader.modalities(batch), flip))
            if progress:
                progress(done, len(own))
    if workers.size == 1:
        return torch.cat(parts)
    return _deal_back(parts, [len(batch) for batch in batches], workers)


@torch.no_grad()
def embedding_size(embedder: Embedder, height: int, width: int) -> int:
    """Returns the number D of values in an embedding, by embedding an empty image on the CPU."""
    with _evaluating(embedder):
        return embedder(torch.zeros(1, 3, height, width), torch.zeros(1, dtype=torch.bool)).shape[1]


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Within it, all of ``module`` is in evaluation mode."""
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for layer, was_training in modes:
            layer.training = was_training


def _embed_batch(embedder: Embedder, images: Tensor, is_infrared: Tensor, flip: bool) -> Tensor:
    embeddings = embedder(images, is_infrared)
    if flip:
        embeddings = embeddings + embedder(images.flip(-1), is_infrared)
    return embeddings.cpu()


def _deal_back(parts: list[Tensor], sizes: list[int], workers: Workers) -> Tensor:
    """Returns all batches in their order, from each worker's own."""
    shares: list[list[Tensor]] = [[] for _ in range(workers.size)]
    torch.distributed.all_gather_object(shares, parts)
    turns = [shares[index % workers.size][index // workers.size] for index in range(len(sizes))]
    return torch.cat(turns)
