"""``python -m stages.references DATA``: what a method has to beat -> ``artifacts/evaluate/{chance,...}@DATA``."""

import argparse
from pathlib import Path

from stages.cli_errors import told_plainly


def main() -> None:
    """Scores chance, colours, raw pixels, an untrained and the pretrained network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="a block of `references` in params.yaml, and of `prepare`")
    given = parser.parse_args()
    with told_plainly():
        run(given.data)


def run(name: str) -> None:
    """Scores the references on a data set."""
    from pipeline.config import block, load, parse
    from pipeline.evaluation.metrics import NAMES
    from pipeline.images.store import ImageStore
    from pipeline.methods.registry import find
    from pipeline.scoring.comparison import EvaluationParams
    from pipeline.scoring.references import ReferencesParams, networks, trivial
    from pipeline.tracking.runs import stage_run
    from pipeline.training.checkpoint import open_checkpoint

    tree = load()
    params = parse(ReferencesParams, block(tree, "references", name), f"references.{name}")
    evaluation = parse(EvaluationParams, block(tree, "evaluation"), "evaluation")
    data, out = Path("data/prepared") / name, Path("artifacts/evaluate")
    with stage_run(stage="references", name=name, params=params.model_dump(), inputs=[data]) as tracked:
        store, found = ImageStore(data), open_checkpoint(Path("artifacts/train") / params.pretrained)
        kind = find(found.meta["experiment"]["method"])
        for result in [*trivial(store, params, evaluation, out), *networks(store, found, kind, evaluation, out)]:
            search = f"{result.protocol.search}/" if result.protocol.search != "standard" else ""
            tracked.log_metrics({f"{search}{result.experiment}_{name}": result.metrics[name] for name in NAMES})


if __name__ == "__main__":
    main()
