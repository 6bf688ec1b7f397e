"""``python -m stages.train EXPERIMENT``: packed images -> ``artifacts/train/EXPERIMENT`` (checkpoint, history)."""

import argparse
from pathlib import Path

from stages.mistakes import told_plainly


def main() -> None:
    """Trains the experiment named on the command line, or goes on where it was stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a block of `experiments` in params.yaml")
    given = parser.parse_args()
    with told_plainly():
        run(given.name)


def run(name: str) -> None:
    """Trains an experiment and publishes its last checkpoint."""
    from pipeline.config import block, load, parse
    from pipeline.jobs.resources import ResourcesParams
    from pipeline.methods.registry import find
    from pipeline.tracking.runs import stage_run
    from pipeline.training.experiment import describe, publish

    tree = load()
    params = block(tree, "experiments", name)
    resources = parse(ResourcesParams, block(tree, "resources", name), f"resources.{name}")
    data = Path("data/prepared") / block(params, "data")
    job = describe(name, params, find(block(params, "method")), data, Path(".runs"))
    with stage_run(stage="train", name=name, params=params, inputs=[data]) as tracked:
        from pipeline.jobs.train import train

        history = train(job, resources, tracked.writer())
        publish(job, Path("artifacts/train") / name, history, tracked.id)


if __name__ == "__main__":
    main()
