"""Embeds packed images, by all workers or cores.

reads    a folder of artifacts/train, one of data/prepared
writes   embeddings.npy (float32 [N, D]) and rows.parquet in --out

Runs on the cluster of RAY_ADDRESS, whose nodes all see both folders at their paths, or on the cores of this machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what to embed, and by what."""
    parser.add_argument("--checkpoint", type=Path, required=True, help="a folder of artifacts/train")
    parser.add_argument("--data", type=Path, required=True, help="a folder of data/prepared")
    parser.add_argument("--part", choices=("all", "train", "test"), default="all", help="of the images (default: all)")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")


def run(given: argparse.Namespace) -> None:
    """Embeds the images that the command line names."""
    import numpy as np

    from pipeline.config import block, load, parse
    from pipeline.images.store import ImageStore
    from pipeline.jobs.embed import embed_over_ray, rows_of
    from pipeline.jobs.resources import ONE_WORKER, connected
    from pipeline.progress import ProgressLine
    from pipeline.scoring.comparison import EvaluationParams

    params = parse(EvaluationParams, block(load(), "evaluation"), "evaluation")
    store = ImageStore(given.data)
    rows = rows_of(store, given.part)
    with connected(ONE_WORKER, groups=1):
        embeddings = embed_over_ray(
            given.checkpoint,
            given.data,
            rows,
            batch_size=params.batch,
            flip=params.flip,
            progress=ProgressLine("embedding"),
        )
    given.out.mkdir(parents=True, exist_ok=True)
    np.save(given.out / "embeddings.npy", embeddings)
    store.table.iloc[rows].to_parquet(given.out / "rows.parquet", index=False)
    print(f"embeddings of {len(embeddings)} images, {embeddings.shape[1]} numbers each: {given.out}")
