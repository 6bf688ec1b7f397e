"""Embeddings of packed images, by all workers.

On the cluster of ``RAY_ADDRESS``, whose nodes all see both folders at their paths, or on this machine's cores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from ray.util import ActorPool

from pipeline.batches.loading import Loader
from pipeline.config import block
from pipeline.images.store import ImageStore
from pipeline.methods.registry import find
from pipeline.neighbors.nearest import Progress
from pipeline.scoring.evaluate import model_from
from pipeline.training.checkpoint import open_checkpoint
from pipeline.training.embed import embed
from pipeline.training.precision import use_plain_float32
from pipeline.training.workers import Workers

BATCHES_AT_ONCE = 8
RESTARTS = 3  # of a worker whose node is lost; what it was at is done again


class EmbeddingWorker:
    """A network and the images, opened once in a Ray actor.

    ``checkpoint`` and ``data`` are absolute, at the same place on all nodes.
    """

    def __init__(self, checkpoint: Path, data: Path, batch_size: int, flip: bool, device: str) -> None:
        use_plain_float32()
        store, found = ImageStore(data), open_checkpoint(checkpoint)
        model = model_from(found, find(block(found.meta["experiment"], "method")), store)
        self.embedder = model.embedder.to(device, torch.float32)
        self.loader = Loader(
            store.images, store.cameras, store.is_infrared, None, device=torch.device(device), dtype=torch.float32
        )
        self.batch_size, self.flip = batch_size, flip

    def embed(self, rows: np.ndarray) -> np.ndarray:
        """Returns the embeddings of ``rows``, float32 ``[len(rows), D]``."""
        own = rows.copy()  # Ray's are not to be written to, of which torch warns
        alone = Workers(0, 1)
        return embed(self.embedder, self.loader, own, batch_size=self.batch_size, workers=alone, flip=self.flip).numpy()


def embed_over_ray(
    checkpoint: Path,
    data: Path,
    rows: np.ndarray,
    *,
    batch_size: int,
    flip: bool,
    batches_at_once: int = BATCHES_AT_ONCE,
    progress: Progress | None = None,
) -> np.ndarray:
    """Returns the embeddings of a store's ``rows``, float32 ``[len(rows), D]``, by the Ray instance that is connected.

    There is a worker for each GPU, or for each core where there is none. Batches are cut as one process cuts them, so
    that on processors of one kind, one thread each, the result is the same in every bit. A worker holds the network,
    ``batches_at_once`` batches of embeddings and, as pages that a node shares, the images.

    Args:
        checkpoint: a folder of ``artifacts/train``.
        data: a prepared data set, of the size that the network was trained at.
        rows: int64 ``[N]``.
        batch_size: images of a batch.
        flip: whether to add the embedding of the mirrored image.
        batches_at_once: those that a worker embeds before it hands them back.
        progress: called with the numbers of images done and of all images.

    Raises:
        ValueError: when checkpoint or store are not whole, or do not have the rows.
    """
    num_images = len(ImageStore(data).table)
    if not len(rows) or not 0 <= rows.min() <= rows.max() < num_images:
        raise ValueError(f"rows: expected at least one, each from 0 to {num_images - 1}, as {data} has them")
    open_checkpoint(checkpoint)  # a worker that cannot start would tell less plainly why
    size = batches_at_once * batch_size
    shares = [rows[start : start + size] for start in range(0, len(rows), size)]
    pool = ActorPool(_team(len(shares), checkpoint.absolute(), data.absolute(), batch_size, flip))
    parts, done = [], 0
    for part in pool.map(lambda worker, share: worker.embed.remote(share), shares):
        parts.append(part)
        done += len(part)
        if progress:
            progress(done, len(rows))
    return np.concatenate(parts)


def _team(most: int, *arguments: Any) -> list[Any]:
    """Returns at most so many workers, as actors that are started again where their node is lost."""
    there = ray.cluster_resources()
    gpus = int(there.get("GPU", 0))
    options: Any = {"num_cpus": 1, "num_gpus": 1 if gpus else 0, "max_restarts": RESTARTS, "max_task_retries": RESTARTS}
    actor, device = ray.remote(**options)(EmbeddingWorker), "cuda" if gpus else "cpu"
    return [actor.remote(*arguments, device) for _ in range(min(most, gpus or int(there["CPU"])))]


def rows_of(store: ImageStore, split: str) -> np.ndarray:
    """Returns the rows of a split, ``train`` or ``test``, or ``all`` of them."""
    everything = np.arange(len(store.table))
    return everything if split == "all" else everything[(store.table["split"] == split).to_numpy()]
