"""Trains an experiment, or goes on where it was stopped.

reads    data/prepared/DATA, start weights, and what a student learns from
writes   artifacts/train/EXPERIMENT (checkpoint, history.csv); with another seed or split, or for RECIPE@DATA,
         artifacts/runs/EXPERIMENT/seedN/train
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.arguments import PREPARED, add_experiment, trial_of

if TYPE_CHECKING:
    from pipeline.jobs.resources import ResourcesParams


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment, and by how many processes it is trained."""
    add_experiment(parser)
    parser.add_argument("--workers", type=int, help="processes (default: as `resources` says); 0: this one alone")


def run(given: argparse.Namespace) -> None:
    """Trains an experiment and publishes its last checkpoint."""
    from pipeline.config import load
    from pipeline.experiments import resolve
    from pipeline.jobs.resources import resources_of

    tree = load()
    trial = trial_of(tree, given)
    resources = resources_of(tree, trial.experiment)
    if given.workers is not None:
        resources = resources.model_copy(update={"workers": given.workers})
    train_as(trial.experiment, resolve(tree, trial), resources, trial.folder("train"))


def train_as(name: str, params: dict[str, Any], resources: ResourcesParams, folder: Path) -> None:
    """Trains an experiment's block under a name and publishes its last checkpoint to ``folder``.

    A training that lies there already, of the same parameters, data and code, is left as it is. One that DVC has
    removed again, without taking it, is put back.
    """
    from pipeline.finished import keep, put_back
    from pipeline.locking import exclusive_lock
    from pipeline.methods.registry import find
    from pipeline.outputs import check_replaceable
    from pipeline.tracking.runs import stage_run
    from pipeline.training.experiment import describe, is_published, publish

    data = PREPARED / params["data"]
    job = describe(name, params, find(params["method"]), data, Path(".runs"))
    made_of = job.meta["digest"]
    with exclusive_lock(job.run_folder, "trained"):
        if is_published(job, folder) or (put_back(folder, made_of) and is_published(job, folder)):
            print(f"{name}: {folder} is of these parameters, data and code already")
        else:
            check_replaceable(folder)
            with stage_run(stage="train", name=name, params=params, inputs=[data]) as tracked:
                from pipeline.jobs.train import train

                writer = tracked.writer()
                history = train(job, resources, writer)
                writer.complete(history)
                publish(job, folder, history, tracked.id)
        keep(folder, made_of)
        shutil.rmtree(job.run_folder, ignore_errors=True)
