"""A network, trained or about to be -> clusters of the images to train on, with their quality."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from pipeline.backbones import weights
from pipeline.batches.loading import Loader
from pipeline.config import parse
from pipeline.images.store import ImageStore
from pipeline.layers.embedder import Embedder
from pipeline.training.checkpoint import open_checkpoint
from pipeline.training.cluster_labels import write_labels
from pipeline.training.embed import embed
from pipeline.training.experiment import ExperimentParams, build_method, load_start, start_file, training_labels
from pipeline.training.loop import shown_labels
from pipeline.training.method import Method
from pipeline.training.precision import use_plain_float32
from pipeline.training.workers import Workers


def cluster(
    name: str, block: Mapping[str, Any], kind: type[Method], store: ImageStore, *, trained: Path | None, folder: Path
) -> dict[str, float]:
    """Writes ``labels.parquet`` and ``quality.json`` to ``folder`` and returns the quality.

    ``name`` and ``block`` are those of the experiment; ``trained`` is the folder of its checkpoint, None
    for its start weights. The true identities are seen by ``Method.label_quality`` alone.

    Raises:
        ValueError: for a method that makes no labels; as ``weights.load_start`` and ``open_checkpoint``.
    """
    use_plain_float32()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    params = parse(ExperimentParams, dict(block), f"experiments.{name}")
    identities = training_labels(store)
    given, rows = shown_labels(identities, "unsupervised"), np.flatnonzero(identities >= 0)
    method = build_method(kind, params, f"experiments.{name}", store, num_classes=1)
    if trained is None:
        load_start(cast(weights.HasBackbone, method.network), params.start, start_file(params.start))
    else:
        method.network.load_state_dict(open_checkpoint(trained).model())
    method.begin_training(store.cameras, store.is_infrared, {})
    method.to(device)
    loader = Loader(store.images, store.cameras, store.is_infrared, None, device=device, dtype=torch.float32)

    def embed_all(embedder: Embedder) -> Tensor:
        return embed(embedder, loader, rows, batch_size=params.training.embedding_batch, workers=Workers(0, 1))

    labels = method.find_labels(embed_all, given)[rows]
    quality = method.label_quality(labels, None, identities[rows], store.cameras[rows])
    folder.mkdir(parents=True, exist_ok=True)
    write_labels(folder / "labels.parquet", rows, labels)
    (folder / "quality.json").write_text(json.dumps(quality, indent=2) + "\n")
    return quality
