"""``python -m stages.train EXPERIMENT``: packed images -> ``artifacts/train/EXPERIMENT`` (checkpoint, history)."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.cli_errors import exit_on_user_error

if TYPE_CHECKING:
    from pipeline.jobs.resources import ResourcesParams


def main() -> None:
    """Trains the experiment named on the command line, or goes on where it was stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a block of `experiments` in params.yaml; NAME_seed2 is NAME with seed 2")
    given = parser.parse_args()
    with exit_on_user_error():
        run(given.name)


def run(name: str) -> None:
    """Trains an experiment and publishes its last checkpoint."""
    from pipeline.config import load, seeded_block
    from pipeline.jobs.resources import resources_of

    tree = load()
    train_as(name, seeded_block(tree, "experiments", name), resources_of(tree, name))


def train_as(name: str, params: dict[str, Any], resources: ResourcesParams) -> None:
    """Trains an experiment's block under a name and publishes its last checkpoint."""
    from pipeline.config import block
    from pipeline.locking import exclusive_lock
    from pipeline.methods.registry import find
    from pipeline.tracking.runs import stage_run
    from pipeline.training.experiment import describe, publish

    data = Path("data/prepared") / block(params, "data")
    job = describe(name, params, find(block(params, "method")), data, Path(".runs"))
    with (
        exclusive_lock(job.run_folder, "trained"),
        stage_run(stage="train", name=name, params=params, inputs=[data]) as tracked,
    ):
        from pipeline.jobs.train import train

        writer = tracked.writer()
        history = train(job, resources, writer)
        writer.complete(history)
        publish(job, Path("artifacts/train") / name, history, tracked.id)
        shutil.rmtree(job.run_folder)


if __name__ == "__main__":
    main()
