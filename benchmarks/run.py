"""Where the time of ``make repro`` goes, from what tracking recorded: ``python benchmarks/run.py --project FOLDER``.

Of the newest run of the whole graph in FOLDER/mlflow.db, stage by stage: the time before it (DVC hashes and keeps what
the stage before made, then an interpreter starts and imports), the start of a training (Ray, data, weights), its
epochs, and what follows. A first epoch is taken to be as long as the others: what it lasts longer (kernels that are
compiled, a first pass of more steps) counts as start. Memory is the most that a stage's processes held at once.
``noop`` asks DVC what there is to do where everything is done.
"""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from speed_comparison import table
from speed_comparison.table import Row

LAST_STAGE = "report"  # whoever has run it has run the whole graph
QUERY = "SELECT run_uuid, name, start_time / 1e3, end_time / 1e3 FROM runs WHERE status = 'FINISHED'"


@dataclass(frozen=True)
class Stage:
    """One execution, in seconds: ``before`` it, its ``start``, its ``epochs`` (none but a training's), and the rest."""

    name: str
    before: float
    start: float
    epochs: float
    rest: float

    @property
    def total(self) -> float:
        """Everything from the end of the stage before to the end of this one."""
        return self.before + self.start + self.epochs + self.rest


def stages_of_last_run(database: Path) -> list[Stage]:
    """Returns the stages of the newest run of the whole graph, in their order.

    Raises:
        ValueError: when there is no such run.
    """
    if not database.is_file():
        raise ValueError(f"{database}: no such file; run `make repro` there with tracking on")
    with sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True) as store:
        for run, _, begun, _ in store.execute(f"{QUERY} ORDER BY start_time DESC").fetchall():
            child = "run_uuid IN (SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' AND value = ?)"
            rows = store.execute(f"{QUERY} AND {child} ORDER BY start_time", (run,)).fetchall()
            if LAST_STAGE in {row[1].split(" ")[0] for row in rows}:
                return _split(store, begun, rows)
    raise ValueError(f"{database}: no finished run reaches the stage {LAST_STAGE!r}: run `make repro` there")


def _split(store: sqlite3.Connection, begun: float, rows: list[tuple[str, str, float, float]]) -> list[Stage]:
    stages, last = [], begun
    for run, name, start, end in rows:
        ends = [
            moment / 1e3
            for (moment,) in store.execute(
                "SELECT timestamp FROM metrics WHERE run_uuid = ? AND key = 'learning_rate' ORDER BY timestamp", (run,)
            )
        ]
        epochs = first = 0.0
        if len(ends) > 1:
            epochs = (ends[-1] - ends[0]) * len(ends) / (len(ends) - 1)
            first = max(0.0, ends[-1] - epochs - start)
        stages.append(Stage(name, start - last, first, epochs, end - start - first - epochs))
        last = end
    return stages


def peaks(folder: Path) -> dict[str, float]:
    """Returns the peak memory in GB of each stage that ``folder`` has a record of."""
    records = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    return {f"{tree['stage']} {tree['name']}".strip(): tree["peak_memory_megabytes"] / 1e3 for tree in records}


def profile(project: Path) -> list[Row]:
    """Returns the rows of the whole run, and of each of its stages."""
    stages, memory = stages_of_last_run(project / "mlflow.db"), peaks(project / ".runs" / "usage")
    total = sum(stage.total for stage in stages)
    between, starts = sum(stage.before for stage in stages), sum(stage.start for stage in stages)
    print(f"{'stage':32} {'before':>8} {'start':>8} {'epochs':>8} {'rest':>8}  seconds; GB at most")
    for stage in stages:
        numbers = " ".join(f"{value:8.1f}" for value in (stage.before, stage.start, stage.epochs, stage.rest))
        print(f"{stage.name:32} {numbers}  {memory.get(stage.name, float('nan')):.2f}")
    return [
        table.shown(f"make repro, {len(stages)} stages", "s", total),
        table.shown("epochs of the trainings", "s", sum(stage.epochs for stage in stages)),
        table.shown("other work of the stages", "s", sum(stage.rest for stage in stages)),
        table.shown("start of the trainings: Ray, data, weights", "s", starts),
        table.shown("between stages: DVC, interpreter, imports", "s", between),
        table.within("start-up, both of these", "% of the run", 100 * (starts + between) / total, None, 25),
        table.shown("memory of the largest stage", "GB", max(memory.values(), default=float("nan"))),
    ]


def noop(project: Path) -> list[Row]:
    """Returns the row of asking DVC what there is to do, in seconds; where there is something, it has no number."""
    command = [str(Path(sys.executable).with_name("dvc")), "repro", "--dry"]
    begun = time.perf_counter()
    said = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - begun
    stale = re.findall(r"^Running stage '(.*)'", said.stdout, re.MULTILINE)
    if said.returncode or stale:
        why = f"a finished run: {len(stale)} stages are to be run" if stale else "a project that DVC can read"
        return [table.unmeasured("dvc repro with nothing to do", "s", "<= 4", why)]
    return [table.within("dvc repro with nothing to do", "s", taken, None, 4)]


def imports(project: Path) -> list[Row]:
    """Returns the rows of starting an interpreter, and of importing in it what stages import."""
    wanted = {
        "interpreter": "pass",
        "torch": "import torch",
        "evaluate": "import pipeline.scoring.evaluate",
        "train, in one process": "import pipeline.training.experiment, pipeline.methods.registry",
        "train, by Ray": "import pipeline.jobs.train, pipeline.methods.registry",
        "tables": "import stages.tables, pipeline.tables.results",
    }
    rows = []
    for name, code in wanted.items():
        sides = {"ours": lambda code=code: subprocess.run([sys.executable, "-c", code], cwd=project, check=True)}
        rows.append(table.shown(f"start and import: {name}", "s", table.interleaved(sides, repeats=2)["ours"]))
    return rows


if __name__ == "__main__":
    table.main(
        __doc__,
        {
            "profile": lambda given: profile(given.project),
            "noop": lambda given: noop(given.project),
            "imports": lambda given: imports(given.project),
        },
        {"name": "--project", "type": Path, "default": Path(), "help": "where `make repro` was run; here by default"},
    )
