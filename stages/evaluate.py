"""Scores a trained network, or somebody else's weights.

reads    data/prepared/DATA, artifacts/train/EXPERIMENT (or --weights FILE)
writes   artifacts/evaluate/EXPERIMENT (embeddings, metrics.json with its protocol, cmc.csv), or --out

--weights scores a file in place of the checkpoint; the network is built by the experiment's block. With --authors
the file names its tensors as the paper's authors do.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from stages.arguments import PREPARED, add_experiment, trial_of

FLOAT32_BYTES = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment, and the file to score in its place."""
    add_experiment(parser)
    parser.add_argument("--weights", type=Path, help="a file of weights to score in place of the trained checkpoint")
    parser.add_argument("--authors", action="store_true", help="the file names its tensors as the paper's authors do")
    parser.add_argument("--out", type=Path, help="where to write")


def run(given: argparse.Namespace) -> None:
    """Scores an experiment's checkpoint, or a file of weights, and prints the metrics."""
    from pipeline.config import block, load, parse
    from pipeline.experiments import num_epochs, resolve
    from pipeline.images.store import ImageStore
    from pipeline.methods.registry import find
    from pipeline.outputs import check_room
    from pipeline.scoring.comparison import EvaluationParams
    from pipeline.scoring.evaluate import check_data, evaluate, flat_metrics, model_from, model_from_file, test_rows
    from pipeline.scoring.measures import MEASURES_FILE
    from pipeline.tracking.runs import stage_run
    from pipeline.training.checkpoint import open_checkpoint
    from pipeline.training.embed import embedding_size

    if given.authors and not given.weights:
        raise ValueError("--authors says how to read a file: name it by --weights")
    if given.weights and not given.out:
        raise ValueError("--weights needs --out, so that others' numbers never stand in for the experiment's own")
    tree = load()
    params = parse(EvaluationParams, block(tree, "evaluation"), "evaluation")
    trial = trial_of(tree, given)
    name, experiment = trial.experiment, resolve(tree, trial)
    kind = find(experiment["method"])
    data, trained = PREPARED / experiment["data"], trial.folder("train")
    out, store = given.out or trial.folder("evaluate"), ImageStore(data)
    with stage_run(stage="evaluate", name=name, params=params.model_dump(), inputs=[data, trained]) as tracked:
        if given.weights is None:
            found = open_checkpoint(trained)
            check_data(found, store, data)
            model, source = model_from(found, kind, store), found.meta["tracking_run"]
            planned = num_epochs(tree, trial)
            if planned > found.meta["epoch"]:
                model = replace(model, recipe={**model.recipe, "of_epochs": planned})
        else:
            model, source = model_from_file(name, experiment, kind, store, given.weights, given.authors), None
        height, width = store.meta["height"], store.meta["width"]
        size = embedding_size(model.embedder, height, width)
        check_room(out, FLOAT32_BYTES * len(test_rows(store)) * size, "its embeddings")
        results = evaluate(model, store, params, out)
        metrics = flat_metrics(results)
        tracked.log_metrics(metrics)
        tracked.log_artifact(out / MEASURES_FILE)
        if given.weights is None:
            tracked.register_model(trained, name=name, source_run=source, metrics=metrics, data=data)
    for result in results.values():
        shown = (f"{metric} {result.metrics[metric]:.1%}" for metric in ("mAP", "rank1", "rank5", "rank10", "mINP"))
        print(f"{result.protocol.label}: " + "  ".join(shown))
