"""``python -m stages.cluster NAME``: a network's embeddings -> ``artifacts/cluster/NAME`` (labels, their quality)."""

import argparse
from pathlib import Path

from stages.cli_errors import exit_on_user_error


def main() -> None:
    """Clusters the images to train on, by the network that a block of `cluster` names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a block of `cluster` in params.yaml; NAME_seed2 is of its experiment with seed 2")
    given = parser.parse_args()
    with exit_on_user_error():
        run(given.name)


def run(name: str) -> None:
    """Writes the clusters and prints their quality."""
    from pipeline.config import block, load, parse, seeded_block
    from pipeline.images.store import ImageStore
    from pipeline.methods.registry import find
    from pipeline.scoring.clusters import ClusterParams, cluster
    from pipeline.tracking.runs import stage_run

    tree = load()
    params = parse(ClusterParams, seeded_block(tree, "cluster", name), f"cluster.{name}")
    experiment = seeded_block(tree, "experiments", params.experiment)
    data, trained = Path("data/prepared") / block(experiment, "data"), Path("artifacts/train") / params.experiment
    kind = find(block(experiment, "method"))
    with stage_run(stage="cluster", name=name, params=params.model_dump(), inputs=[data]) as tracked:
        quality = cluster(
            params.experiment, experiment, kind, ImageStore(data),
            trained=None if params.weights == "start" else trained, folder=Path("artifacts/cluster") / name,
        )  # fmt: skip
        tracked.log_metrics(quality)
    print("  ".join(f"{metric} {value:.3g}" for metric, value in quality.items()))


if __name__ == "__main__":
    main()
