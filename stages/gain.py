"""``python -m stages.gain SEARCH``: what a search gained -> ``artifacts/gain/SEARCH`` (gain.json, gain.md, scores).

The validation split has chosen; the test set has not, and is only reported.
"""

import argparse
from pathlib import Path

from stages.cli_errors import exit_on_user_error


def main() -> None:
    """Compares the experiment by best.yaml with the experiment as it stands in params.yaml."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a block of `tune` in params.yaml")
    given = parser.parse_args()
    with exit_on_user_error():
        run(given.name)


def run(name: str) -> None:
    """Scores both trainings on the test set, and writes and prints the differences."""
    from pipeline.config import block, load, parse
    from pipeline.images.store import ImageStore
    from pipeline.methods.registry import find
    from pipeline.scoring.comparison import EvaluationParams
    from pipeline.scoring.evaluate import check_data, evaluate, flat_metrics, model_from
    from pipeline.tracking.runs import stage_run
    from pipeline.training.checkpoint import open_checkpoint
    from pipeline.tuning.gain import Gain

    tree = load()
    params = parse(EvaluationParams, block(tree, "evaluation"), "evaluation")
    experiment = block(tree, "tune", name, "experiment")
    kind = find(block(tree, "experiments", experiment, "method"))
    data = Path("data/prepared") / block(tree, "experiments", experiment, "data")
    store, out = ImageStore(data), Path("artifacts/gain") / name
    scores = {}
    with stage_run(stage="gain", name=name, params={"experiment": experiment}, inputs=[data]) as tracked:
        for which in (experiment, f"{name}_tuned"):
            found = open_checkpoint(Path("artifacts/train") / which)
            check_data(found, store, data)
            scores[which] = flat_metrics(evaluate(model_from(found, kind, store), store, params, out / which))
        gain = Gain.read(Path("artifacts/tune") / name, before=scores[experiment], after=scores[f"{name}_tuned"])
        gain.write(out)
        tracked.log_metrics(gain.metrics())
    print(gain.text())


if __name__ == "__main__":
    main()
