"""Trains an experiment by the values that a search has found.

reads    artifacts/tune/SEARCH/best.yaml, data/prepared/DATA, start weights
writes   artifacts/tuned/SEARCH (checkpoint, history.csv)
"""

from __future__ import annotations

import argparse

from stages.arguments import TUNED, add_search, tuned_folder
from stages.train import train_as

add_arguments = add_search


def run(given: argparse.Namespace) -> None:
    """Trains the experiment, in full, with best.yaml laid over it."""
    from pipeline.config import load, overlaid
    from pipeline.experiments import resolve_experiment, resolve_search
    from pipeline.jobs.resources import resources_of

    tree, name = load(), given.search
    experiment, best = resolve_search(tree, name)["experiment"], TUNED / name / "best.yaml"
    params = overlaid(resolve_experiment(tree, experiment), load(best), str(best))
    train_as(f"{name}_tuned", params, resources_of(tree, experiment), tuned_folder(name))
