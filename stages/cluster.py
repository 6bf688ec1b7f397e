"""Clusters the images to train on by an experiment's network.

reads    data/prepared/DATA, artifacts/train/EXPERIMENT
writes   artifacts/cluster/EXPERIMENT (labels.parquet, quality.json); with --start artifacts/cluster/EXPERIMENT_start
"""

from __future__ import annotations

import argparse

from stages.arguments import PREPARED, add_experiment, trial_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment, and which of its networks."""
    add_experiment(parser)
    parser.add_argument("--start", action="store_true", help="by the weights that it starts from")


def run(given: argparse.Namespace) -> None:
    """Writes the clusters and prints their quality."""
    from pipeline.config import load
    from pipeline.experiments import resolve
    from pipeline.images.store import ImageStore
    from pipeline.methods.registry import find
    from pipeline.scoring.clusters import cluster
    from pipeline.tracking.runs import stage_run

    tree = load()
    trial = trial_of(tree, given)
    block = resolve(tree, trial)
    data, trained = PREPARED / block["data"], None if given.start else trial.folder("train")
    folder = trial.folder("cluster")
    if given.start:  # never in the place of what a student learns from
        folder = folder.with_name(f"{folder.name}_start")
    params = {"experiment": trial.experiment, "weights": "start" if given.start else "trained"}
    with stage_run(stage="cluster", name=trial.experiment, params=params, inputs=[data]) as tracked:
        quality = cluster(
            trial.experiment, block, find(block["method"]), ImageStore(data), trained=trained, folder=folder
        )
        tracked.log_metrics(quality)
    print("  ".join(f"{metric} {value:.3g}" for metric, value in quality.items()))
