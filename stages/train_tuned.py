"""``python -m stages.train_tuned SEARCH``: what a search found, in full -> ``artifacts/train/SEARCH_tuned``."""

import argparse
from pathlib import Path

from stages.cli_errors import exit_on_user_error
from stages.train import train_as


def main() -> None:
    """Trains, in full, what the search named on the command line has found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a block of `tune` in params.yaml")
    given = parser.parse_args()
    with exit_on_user_error():
        run(given.name)


def run(name: str) -> None:
    """Lays best.yaml over the experiment's block, and trains that."""
    from pipeline.config import block, load
    from pipeline.jobs.resources import resources_of
    from pipeline.tuning.overlay import overlaid

    tree = load()
    experiment = block(tree, "tune", name, "experiment")
    best = Path("artifacts/tune") / name / "best.yaml"
    params = overlaid(block(tree, "experiments", experiment), load(best), str(best))
    train_as(f"{name}_tuned", params, resources_of(tree, experiment))


if __name__ == "__main__":
    main()
