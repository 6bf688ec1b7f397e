"""``python -m stages.references``: what a method has to beat -> ``artifacts/evaluate/{chance,...}/metrics.json``."""

import argparse
from pathlib import Path

from stages.mistakes import told_plainly


def main() -> None:
    """Scores chance, colours, raw pixels, an untrained and the pretrained network."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with told_plainly():
        run()


def run() -> None:
    """Scores the references named in params.yaml."""
    from pipeline.config import block, load, parse
    from pipeline.data.store import ImageStore
    from pipeline.methods.registry import find
    from pipeline.scoring.comparison import EvaluationParams
    from pipeline.scoring.references import ReferencesParams, networks, trivial
    from pipeline.tracking.runs import stage_run
    from pipeline.training.checkpoint import open_checkpoint

    tree = load()
    params = parse(ReferencesParams, block(tree, "references"), "references")
    evaluation = parse(EvaluationParams, block(tree, "evaluation"), "evaluation")
    data, out = Path("data/prepared") / params.data, Path("artifacts/evaluate")
    with stage_run(stage="references", name=params.data, params=params.model_dump(), inputs=[data]) as tracked:
        store, found = ImageStore(data), open_checkpoint(Path("artifacts/train") / params.pretrained)
        kind = find(found.meta["experiment"]["method"])
        for result in [*trivial(store, params, evaluation, out), *networks(store, found, kind, evaluation, out)]:
            tracked.log_metrics({f"{result.experiment}_mAP": result.metrics["mAP"]})


if __name__ == "__main__":
    main()
