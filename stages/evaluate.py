"""``python -m stages.evaluate EXPERIMENT``: a checkpoint -> ``artifacts/evaluate/EXPERIMENT`` (embeddings, metrics).

``--weights FILE`` scores somebody else's weights instead: a file with our names, or, with ``--authors``, with those of
the paper's authors; the network is built by the experiment's block of params.yaml.
"""

import argparse
from pathlib import Path

from pipeline.config import block, load, parse
from pipeline.data.store import ImageStore
from pipeline.methods.registry import find
from pipeline.scoring.evaluate import EvaluationParams, evaluate, model_from, model_from_file
from pipeline.tracking.runs import stage_run
from pipeline.training.checkpoint import open_checkpoint


def main() -> None:
    """Scores the experiment named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a block of `experiments` in params.yaml")
    parser.add_argument("--weights", type=Path, help="a file of weights to score in place of the trained checkpoint")
    parser.add_argument("--authors", action="store_true", help="the file names its tensors as the paper's authors do")
    parser.add_argument("--out", type=Path, help="where to write (default: artifacts/evaluate/EXPERIMENT)")
    given = parser.parse_args()
    tree = load()
    params = parse(EvaluationParams, block(tree, "evaluation"), "evaluation")
    experiment = block(tree, "experiments", given.name)
    kind = find(block(experiment, "method"))
    data, trained = Path("data/prepared") / block(experiment, "data"), Path("artifacts/train") / given.name
    store = ImageStore(data)
    with stage_run(stage="evaluate", name=given.name, params=params.model_dump(), inputs=[data, trained]) as run:
        if given.weights is None:
            found = open_checkpoint(trained)
            model, source = model_from(found, kind, store), found.meta["tracking_run"]
        else:
            model, source = model_from_file(given.name, experiment, kind, store, given.weights, given.authors), None
        result = evaluate(model, store, params, given.out or Path("artifacts/evaluate") / given.name)
        run.log_metrics(result.metrics)
        if given.weights is None:
            run.register_model(trained, name=given.name, source_run=source, metrics=result.metrics, data=data)
    print("  ".join(f"{name} {result.metrics[name]:.1%}" for name in ("mAP", "rank1", "rank5", "rank10", "mINP")))


if __name__ == "__main__":
    main()
