"""Searches better values for an experiment (docs/tuning.md).

reads    data/prepared/DATA, start weights
writes   artifacts/tune/SEARCH (best.yaml, trials, summary)
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from stages.arguments import PREPARED, TUNED, add_search

add_arguments = add_search


def run(given: argparse.Namespace) -> None:
    """Runs a search, or goes on where it was stopped, and writes the values of the best trial."""
    from pipeline.config import load, parse
    from pipeline.experiments import resolve_experiment, resolve_search
    from pipeline.finished import keep, put_back
    from pipeline.jobs.resources import resources_of
    from pipeline.locking import exclusive_lock
    from pipeline.methods.registry import find
    from pipeline.tracking.runs import stage_run
    from pipeline.tuning.plan import make_plan, search_folder
    from pipeline.tuning.space import TuneParams

    tree, name = load(), given.search
    params = parse(TuneParams, resolve_search(tree, name), f"studies.searches.{name}")
    experiment = resolve_experiment(tree, params.experiment)
    method, data = find(experiment["method"]), PREPARED / params.data
    folder = search_folder(name, params, experiment, method, data, Path(".runs"))
    out = TUNED / name
    with exclusive_lock(folder, "searched"):
        if put_back(out, folder.name):
            keep(out, folder.name)
            print(f"search {name}: {out} is of these parameters, data and code already")
            return
        plan = make_plan(name, params, experiment, method, data, folder)
        with stage_run(stage="tune", name=name, params=params.model_dump(), inputs=[data]) as tracked:
            from pipeline.jobs.tune import search

            outcome = search(plan, resources_of(tree, "searches"), tracked)
            outcome.write(out)
            measured = {"trials": len(outcome.trials), plan.criterion: outcome.best.score, "gain": outcome.gain}
            tracked.log_metrics(measured)
            for file in sorted(out.iterdir()):
                tracked.log_artifact(file)
            keep(out, folder.name)
            shutil.rmtree(folder)
    print(outcome.report())
