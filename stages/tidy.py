"""Lists or removes what trainings, searches and Ray left behind.

reads    .runs, mlflow.db, Ray's sessions
writes   nothing; --remove removes what is listed

Never anything in ``artifacts/``, ``data/`` or DVC's cache, never what
a process is using, and no unfinished training or search that would go on when it is started again.
"""

from __future__ import annotations

import argparse
import json
import os
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.cleanup.leftovers import Leftover

RUNS, DATABASE = Path(".runs"), Path("mlflow.db")
CACHE = """\
DVC's cache is left alone. `dvc gc --workspace` would take from it all that the lock files here do not name, finished
trainings of other commits and branches among it; `dvc gc --all-commits` keeps those."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds whether to remove it."""
    parser.add_argument("--remove", action="store_true", help="remove it, instead of listing it")


def run(given: argparse.Namespace) -> None:
    """Lists, or removes, files and folders first and then recorded runs."""
    is_removing, freed = given.remove, 0
    for (folder, why), alike in groupby(find(), key=lambda leftover: (leftover.path.parent, leftover.why)):
        told = {leftover.path: leftover.remove() if is_removing else leftover.size() for leftover in alike}
        sizes = {path: size for path, size in told.items() if size is not None}
        freed += sum(sizes.values())
        if sizes:
            what = next(iter(sizes)) if len(sizes) == 1 else f"{len(sizes)} in {folder}"
            print(f"{sum(sizes.values()) / 1e6:10.1f} MB  {what}: {why}")
    freed += tidy_recorded(is_removing)
    print(f"{freed / 1e6:10.1f} MB  {'freed' if is_removing else 'in all; make tidy-now removes it'}\n{CACHE}")


def find() -> list[Leftover]:
    """Returns the files and folders that may go."""
    from pipeline.cleanup.current import current_folders
    from pipeline.cleanup.leftovers import find_ray_sessions, find_ray_storage, find_records, find_runs
    from pipeline.config import load
    from pipeline.experiments import data_sets, experiments
    from pipeline.jobs.private import session_folder

    tree = load()
    searches = tree["studies"]["searches"]
    names = {*data_sets(tree), *experiments(tree), *searches, *(f"{name}_tuned" for name in searches), "study"}
    return [
        *find_runs(RUNS, partial(current_folders, root=Path.cwd())),
        *find_ray_storage(RUNS),
        *find_records(RUNS, names),
        *find_ray_sessions(session_folder()),
    ]


def tidy_recorded(is_removing: bool) -> int:
    """Lists, or removes, recorded executions that later ones have superseded; returns the bytes of their artifacts."""
    if os.environ.get("MLFLOW_TRACKING_URI") or not DATABASE.is_file():  # a server's runs are not this project's alone
        return 0
    from pipeline.cleanup.leftovers import disk_use
    from pipeline.tracking.lineage import hashes_in_use
    from pipeline.tracking.old_runs import remove, superseded

    made = [json.loads(meta.read_text()).get("tracking_run") for meta in Path("artifacts").glob("train/*/meta.json")]
    old = superseded(DATABASE, [run for run in made if run], hashes_in_use(Path()))
    sizes = [disk_use(execution.artifacts) for execution in old]
    for execution, size in zip(old, sizes, strict=True):
        print(f"{size / 1e6:10.1f} MB  MLflow: the execution {execution.name}, {len(execution.runs)} runs: superseded")
    if is_removing and old:
        remove(DATABASE, old)
    return sum(sizes)
