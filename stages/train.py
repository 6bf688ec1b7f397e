"""``python -m stages.train EXPERIMENT``: packed images -> ``artifacts/train/EXPERIMENT`` (checkpoint, history)."""

import argparse
from pathlib import Path

from pipeline.config import block, load, parse
from pipeline.methods.registry import find
from pipeline.tracking.runs import stage_run
from pipeline.training.experiment import describe, publish


def main() -> None:
    """Trains the experiment named on the command line, or goes on where it was stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a block of `experiments` in params.yaml")
    name = parser.parse_args().name
    tree = load()
    params = block(tree, "experiments", name)
    data = Path("data/prepared") / block(params, "data")
    job = describe(name, params, find(block(params, "method")), data, Path(".runs"))
    with stage_run(stage="train", name=name, params=params, inputs=[data]) as run:
        from pipeline.jobs.resources import ResourcesParams
        from pipeline.jobs.train import train

        resources = parse(ResourcesParams, block(tree, "resources", name), f"resources.{name}")
        history = train(job, resources, run.writer())
        publish(job, Path("artifacts/train") / name, history, run.id)


if __name__ == "__main__":
    main()
