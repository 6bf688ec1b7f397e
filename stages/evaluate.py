"""``python -m stages.evaluate EXPERIMENT``: a checkpoint -> ``artifacts/evaluate/EXPERIMENT`` (embeddings, metrics).

``--weights FILE --out FOLDER`` scores somebody else's weights instead: a file with our names, or, with ``--authors``,
with those of the paper's authors; the network is built by the experiment's block of params.yaml.
"""

import argparse
from pathlib import Path

from stages.cli_errors import exit_on_user_error


def main() -> None:
    """Scores the experiment named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a block of `experiments` in params.yaml; NAME_seed2 is NAME with seed 2")
    parser.add_argument("--weights", type=Path, help="a file of weights to score in place of the trained checkpoint")
    parser.add_argument("--authors", action="store_true", help="the file names its tensors as the paper's authors do")
    parser.add_argument("--out", type=Path, help="where to write (default: artifacts/evaluate/EXPERIMENT)")
    given = parser.parse_args()
    if given.authors and not given.weights:
        parser.error("--authors says how to read a file: name it by --weights")
    if given.weights and not given.out:
        parser.error("--weights needs --out, so that somebody else's numbers never stand in for the experiment's own")
    with exit_on_user_error():
        run(given.name, given.weights, given.authors, given.out or Path("artifacts/evaluate") / given.name)


def run(name: str, weights: Path | None, authors: bool, out: Path) -> None:
    """Scores an experiment's checkpoint, or a file of weights, and prints the metrics."""
    from pipeline.config import block, load, parse, seeded_block
    from pipeline.images.store import ImageStore
    from pipeline.methods.registry import find
    from pipeline.scoring.comparison import EvaluationParams
    from pipeline.scoring.evaluate import check_data, evaluate, flat_metrics, model_from, model_from_file
    from pipeline.tracking.runs import stage_run
    from pipeline.training.checkpoint import open_checkpoint

    tree = load()
    params = parse(EvaluationParams, block(tree, "evaluation"), "evaluation")
    experiment = seeded_block(tree, "experiments", name)
    kind = find(block(experiment, "method"))
    data, trained = Path("data/prepared") / block(experiment, "data"), Path("artifacts/train") / name
    store = ImageStore(data)
    with stage_run(stage="evaluate", name=name, params=params.model_dump(), inputs=[data, trained]) as tracked:
        if weights is None:
            found = open_checkpoint(trained)
            check_data(found, store, data)
            model, source = model_from(found, kind, store), found.meta["tracking_run"]
        else:
            model, source = model_from_file(name, experiment, kind, store, weights, authors), None
        results = evaluate(model, store, params, out)
        metrics = flat_metrics(results)
        tracked.log_metrics(metrics)
        if weights is None:
            tracked.register_model(trained, name=name, source_run=source, metrics=metrics, data=data)
    for result in results.values():
        shown = (f"{metric} {result.metrics[metric]:.1%}" for metric in ("mAP", "rank1", "rank5", "rank10", "mINP"))
        print(f"{result.protocol.label}: " + "  ".join(shown))


if __name__ == "__main__":
    main()
