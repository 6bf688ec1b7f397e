"""Says what a search has gained, on the test set too.

reads    data/prepared/DATA, artifacts/train/EXPERIMENT, artifacts/tuned/SEARCH, artifacts/tune/SEARCH
writes   artifacts/compare_tuned/SEARCH (gain.json, gain.md, scores)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from stages.arguments import PREPARED, TUNED, add_search, tuned_folder

COMPARED = Path("artifacts/compare_tuned")

add_arguments = add_search


def run(given: argparse.Namespace) -> None:
    """Scores both trainings on the test set, and writes and prints the differences."""
    from pipeline.config import load, parse
    from pipeline.experiments import resolve_experiment, resolve_search, trial
    from pipeline.images.store import ImageStore
    from pipeline.methods.registry import find
    from pipeline.scoring.comparison import EvaluationParams
    from pipeline.scoring.evaluate import check_data, evaluate, flat_metrics, model_from
    from pipeline.tracking.runs import stage_run
    from pipeline.training.checkpoint import open_checkpoint
    from pipeline.tuning.compare_tuned import Gain

    tree, name = load(), given.search
    block = resolve_search(tree, name)
    params = parse(EvaluationParams, tree["evaluation"], "evaluation")
    experiment = resolve_experiment(tree, block["experiment"])
    kind, data = find(experiment["method"]), PREPARED / experiment["data"]
    store, out = ImageStore(data), COMPARED / name
    folders = {
        "before": trial(tree, block["experiment"]).folder("train"),
        "after": tuned_folder(name),
    }
    scores = {}
    with stage_run(
        stage="compare_tuned", name=name, params={"experiment": block["experiment"]}, inputs=[data]
    ) as tracked:
        for which, folder in folders.items():
            found = open_checkpoint(folder)
            check_data(found, store, data)
            scores[which] = flat_metrics(evaluate(model_from(found, kind, store), store, params, out / which))
        gain = Gain.read(TUNED / name, **scores)
        gain.write(out)
        tracked.log_metrics(gain.metrics())
    print(gain.text())
