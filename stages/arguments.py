"""Arguments that several commands take, and what they name."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pipeline.experiments import Trial, trial

PREPARED, TUNED = Path("data/prepared"), Path("artifacts/tune")


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that name one training."""
    parser.add_argument(
        "experiment", help="one that params.yaml declares, or RECIPE@DATA; RECIPE+RECIPE@DATA lays one over the other"
    )
    parser.add_argument("--seed", type=int, help="another seed than the recipe's")
    parser.add_argument("--split", type=int, help="of data with several: which one, from 1 (default: 1)")
    parser.add_argument("--apart", action="store_true", help="in artifacts/runs, as a study does it")


def trial_of(tree: dict[str, Any], given: argparse.Namespace) -> Trial:
    """Returns the training that the arguments name."""
    return trial(tree, given.experiment, seed=given.seed, split=given.split, apart=given.apart)


def add_search(parser: argparse.ArgumentParser) -> None:
    """Adds the argument that names a search."""
    parser.add_argument("search", help="one of studies.searches in params.yaml")


def tuned_folder(search: str) -> Path:
    """Returns where the training by what a search has found lies."""
    return Path("artifacts/tuned", search)
