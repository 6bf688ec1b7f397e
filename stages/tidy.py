"""``python -m stages.tidy``: what trainings, searches, Ray and MLflow left behind and nobody will use again.

Lists it with its size; ``--remove`` removes it. Never anything in ``artifacts/``, ``data/`` or DVC's cache, never what
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

from stages.cli_errors import exit_on_user_error

if TYPE_CHECKING:
    from pipeline.cleanup.leftovers import Leftover

RUNS, DATABASE = Path(".runs"), Path("mlflow.db")
BLOCKS = ("prepare", "experiments", "cluster", "tune", "references")
CACHE = """\
DVC's cache is left alone. `dvc gc --workspace` would take from it all that the lock files here do not name, finished
trainings of other commits and branches among it; `dvc gc --all-commits` keeps those."""


def main() -> None:
    """Lists what may go, or removes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--remove", action="store_true", help="remove it, instead of listing it")
    given = parser.parse_args()
    with exit_on_user_error():
        run(given.remove)


def run(is_removing: bool) -> None:
    """Lists, or removes, files and folders first and then recorded runs."""
    freed = 0
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
    from pipeline.cleanup.current import current_folder
    from pipeline.cleanup.leftovers import find_ray_sessions, find_ray_storage, find_records, find_runs
    from pipeline.config import load

    tree = load()
    names = {name for key in BLOCKS for name in tree.get(key, {})}
    names |= {f"{name}_tuned" for name in tree.get("tune", {})}
    temporary = Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp") / "ray"
    return [
        *find_runs(RUNS, partial(current_folder, root=Path.cwd())),
        *find_ray_storage(RUNS),
        *find_records(RUNS, names),
        *find_ray_sessions(temporary),
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


if __name__ == "__main__":
    main()
