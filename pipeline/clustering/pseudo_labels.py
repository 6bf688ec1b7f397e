"""Embeddings of an unlabelled data set -> pseudo-labels, as a table, with their quality."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from pipeline.clustering.dbscan import dbscan
from pipeline.config import Record
from pipeline.neighbors.cameras import center_cameras
from pipeline.neighbors.jaccard import jaccard_distance, merge

COLUMNS = ("row", "label", "size")


class ClusteringParams(Record):
    """How embeddings become clusters.

    ``center_cameras`` takes each camera's mean from its embeddings first. The Jaccard distance has ``k1`` and ``k2``
    neighbours; that of each local view weighs ``local_weight``, the global one's the rest. DBSCAN joins images within
    ``eps`` of one that has ``min_samples`` so near, itself among them.
    """

    center_cameras: bool
    local_weight: Annotated[float, Field(ge=0)]
    k1: Annotated[int, Field(ge=1)]
    k2: Annotated[int, Field(ge=1)]
    eps: Annotated[float, Field(gt=0)]
    min_samples: Annotated[int, Field(ge=1)]


def find_clusters(
    views: np.ndarray,
    cameras: np.ndarray,
    *,
    center_cameras: bool,
    local_weight: float,
    k1: int,
    k2: int,
    eps: float,
    min_samples: int,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """Returns the cluster of each image, int64 ``[N]`` from 0 without a gap, -1 for noise.

    The same in every bit for the same embeddings, on whatever device and in however many threads.

    Args:
        views: float32 ``[V, N, D]``, the global view first.
        cameras: ``[N]``, read with ``center_cameras`` only.
        device: where neighbours are searched.

    Source: arXiv 2204.09931 (tengxiao14/Purification_ReID de659b8): distances .70, .15 and .15 of three views, one
    DBSCAN. With one view Cluster Contrast's (alibaba/cluster-contrast-reid 57b62e9). Centring is ours.
    """
    shares = [1 - local_weight * (len(views) - 1), *[local_weight] * (len(views) - 1)]
    distances = [
        jaccard_distance(
            _centered(view, cameras) if center_cameras else view,
            k1=k1,
            k2=k2,
            metric="cosine",
            convention="cluster_contrast",
            device=device,
        )
        for view, share in zip(views, shares, strict=True)
        if share
    ]
    merged = merge(distances, [share for share in shares if share])
    return dbscan(merged, eps=eps, min_samples=min_samples)


def _centered(features: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    rest = center_cameras(features, cameras)
    return (rest / np.linalg.norm(rest, axis=1, keepdims=True)).astype(np.float32)


def write_labels(path: Path, rows: np.ndarray, labels: np.ndarray) -> None:
    """Ensures that ``path`` holds a table of store ``rows``, their ``labels`` and clusters' sizes, 0 for noise."""
    counts = np.bincount(labels[labels >= 0], minlength=1)
    sizes = np.where(labels >= 0, counts[labels], 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(dict(zip(COLUMNS, (rows, labels, sizes), strict=True))).to_parquet(path, index=False)


def read_labels(path: Path, rows: np.ndarray) -> np.ndarray:
    """Returns the labels, int64 ``[len(rows)]``, that ``write_labels`` wrote for ``rows``.

    Raises:
        ValueError: when the table is none of labels, or of other rows.
    """
    table = pd.read_parquet(path)
    if tuple(table.columns) != COLUMNS:
        raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {', '.join(table.columns)}")
    if not np.array_equal(table["row"], rows):
        raise ValueError(
            f"{path} labels {len(table)} images, and not the {len(rows)} that are trained on: cluster the same data set"
        )
    return table["label"].to_numpy(copy=True)
