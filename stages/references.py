"""Scores what a method has to beat: chance, colours, pixels, ...

reads    data/prepared/DATA, artifacts/train/PRETRAINED
writes   artifacts/evaluate/{chance,colour_stripes,raw_pixels,untrained,pretrained}@DATA, or below --out
"""

from __future__ import annotations

import argparse
from pathlib import Path

from stages.arguments import PREPARED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the name of the data set."""
    parser.add_argument("data", help="a data set of params.yaml")
    parser.add_argument("--out", type=Path, default=Path("artifacts/evaluate"), help="where to write")


def run(given: argparse.Namespace) -> None:
    """Scores the references on a data set."""
    from pipeline.config import block, load, parse
    from pipeline.evaluation.metrics import NAMES
    from pipeline.experiments import trial
    from pipeline.images.store import ImageStore
    from pipeline.methods.registry import find
    from pipeline.scoring.comparison import EvaluationParams
    from pipeline.scoring.references import ReferencesParams, networks, trivial
    from pipeline.tracking.runs import stage_run
    from pipeline.training.checkpoint import open_checkpoint

    tree = load()
    params = parse(ReferencesParams, block(tree, "references"), "references")
    evaluation = parse(EvaluationParams, block(tree, "evaluation"), "evaluation")
    data, out = PREPARED / given.data, given.out
    with stage_run(stage="references", name=given.data, params=params.model_dump(), inputs=[data]) as tracked:
        store, found = ImageStore(data), open_checkpoint(trial(tree, params.pretrained).folder("train"))
        kind = find(found.meta["experiment"]["method"])
        for result in [*trivial(store, params, evaluation, out), *networks(store, found, kind, evaluation, out)]:
            search = f"{result.protocol.search}/" if result.protocol.search != "standard" else ""
            tracked.log_metrics({f"{search}{result.experiment}_{name}": result.metrics[name] for name in NAMES})
