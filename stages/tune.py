"""``python -m stages.tune SEARCH``: packed images -> ``artifacts/tune/SEARCH`` (best.yaml, trials, summary)."""

import argparse
import shutil
from pathlib import Path

from stages.cli_errors import exit_on_user_error


def main() -> None:
    """Runs the search named on the command line, or goes on where it was stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a block of `tune` in params.yaml")
    given = parser.parse_args()
    with exit_on_user_error():
        run(given.name)


def run(name: str) -> None:
    """Searches for better values of an experiment, and writes those of the best trial."""
    from pipeline.config import block, load, parse
    from pipeline.jobs.resources import resources_of
    from pipeline.locking import exclusive_lock
    from pipeline.methods.registry import find
    from pipeline.tracking.runs import stage_run
    from pipeline.tuning.plan import make_plan, search_folder
    from pipeline.tuning.space import TuneParams

    tree = load()
    params = parse(TuneParams, block(tree, "tune", name), f"tune.{name}")
    experiment = block(tree, "experiments", params.experiment)
    resources = resources_of(tree, "tune")
    method = find(block(experiment, "method"))
    data = Path("data/prepared") / block(experiment, "data")
    folder = search_folder(name, params, experiment, method, data, Path(".runs"))
    with exclusive_lock(folder, "searched"):
        plan = make_plan(name, params, experiment, method, data, folder)
        with stage_run(stage="tune", name=name, params=params.model_dump(), inputs=[data]) as tracked:
            from pipeline.jobs.tune import search

            outcome = search(plan, resources, tracked)
            out = Path("artifacts/tune") / name
            outcome.write(out)
            measured = {"trials": len(outcome.trials), plan.criterion: outcome.best.score, "gain": outcome.gain}
            tracked.log_metrics(measured)
            for file in sorted(out.iterdir()):
                tracked.log_artifact(file)
            shutil.rmtree(folder)
    print(outcome.report())


if __name__ == "__main__":
    main()
