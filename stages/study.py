"""``python -m stages.study``: all experiments on generated data with all their seeds -> ``artifacts/study``.

Says first what there is to run and how long that will take, and after each stage how much is left. What is up to date
is not run again, so a study that was stopped, by whatever, goes on when it is started again. ``--plan`` only says what
there is to run; ``--record`` only writes how long the stages took here to ``studies/seconds.csv``.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from stages.cli_errors import exit_on_user_error

TARGETS = [f"studies/dvc.yaml:{name}" for name in ("study", "differences_parts", "differences", "differences_across")]
KNOWN, MEASURED = Path("studies/seconds.csv"), Path(".runs/usage")
COMMAND = re.compile(r"> python -m stages\.(\w+)(?: (\w[\w@]*))?")
"""How DVC announces a command of ours: its stage, and the first thing that it is about."""


def main() -> None:
    """Runs what of the study is not up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", action="store_true", help="only say what there is to run")
    parser.add_argument("--record", action="store_true", help="only write how long the stages took here")
    given = parser.parse_args()
    with exit_on_user_error():
        if given.record:
            record()
        else:
            run(TARGETS, only_plan=given.plan)


@dataclass
class Expectation:
    """How long stages take, by what is ``known``: seconds by stage and name."""

    known: dict[tuple[str, str], float]

    def of(self, stage: str, name: str) -> float:
        """Returns the seconds of a stage; one that never ran is taken for the mean of its kind, a minute without."""
        own = [self.known[key] for key in ((stage, name), (stage, without_seed(name))) if key in self.known]
        kind = [seconds for (other, _), seconds in self.known.items() if other == stage]
        return own[0] if own else fmean(kind or [60.0])


def without_seed(name: str) -> str:
    """Returns the experiment of which ``name`` is a seed."""
    return name.partition("_seed")[0]


def run(targets: Sequence[str], *, only_plan: bool) -> None:
    """Runs the targets by DVC, stage after stage, and says how far it is."""
    expectation = Expectation(read_known())
    left = {stage: expectation.of(*stage) for stage in find_outdated(targets)}
    count, expected = len(left), sum(left.values())
    if not left:
        print("study: everything is up to date")
        return
    print(f"study: {count} stages to run, {in_words(expected)} if they take as long as they last did", flush=True)
    if only_plan:
        print("\n".join(f"{seconds:6.0f} s  {' '.join(stage)}" for stage, seconds in sorted(left.items())))
        return
    begun, number, running = time.monotonic(), 0, ("", "")
    for line in dvc(targets):
        print(line, end="", flush=True)
        if found := announced(line):
            left.pop(running, None)
            number, running = number + 1, found
            gone, rest = time.monotonic() - begun, sum(left.values())
            pace = gone / (expected - rest) if expected > rest else 1.0
            print(f"study: stage {number} of {count}, {in_words(gone)} gone, {in_words(pace * rest)} left", flush=True)


def find_outdated(targets: Sequence[str]) -> list[tuple[str, str]]:
    """Returns stage and name of all that must run for the targets: what changed, and what depends on that."""
    from dvc.repo import Repo
    from networkx import ancestors, subgraph_view

    with Repo() as repo:
        changed = set(repo.status(targets=list(targets), with_deps=True))
        graph = repo.index.graph  # points from a stage to those that it needs
        needed = {stage for target in targets for stage in repo.stage.collect(target, with_deps=True)}
        outdated = {stage for stage in needed if stage.addressing in changed}
        within = subgraph_view(graph, filter_node=lambda stage: stage in needed)
        outdated |= {other for stage in outdated for other in ancestors(within, stage)}
        return [found for stage in outdated if (found := announced(f"> {stage.cmd}"))]


def dvc(targets: Sequence[str]) -> Iterator[str]:
    """Yields the lines of ``dvc repro``.

    Raises:
        ValueError: when it fails; what failed stands among the lines.
    """
    command = [sys.executable, "-m", "dvc", "repro", *targets]
    in_order = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=in_order) as process:
        yield from process.stdout or ()
    if process.returncode:
        raise ValueError("the study stopped (see above); what is done is kept, and make study goes on from there")


def announced(line: str) -> tuple[str, str] | None:
    """Returns the stage and the name of the command that a line of DVC's announces."""
    found = COMMAND.match(line)
    return (found[1], found[2] or "") if found else None


def in_words(seconds: float) -> str:
    """Returns a duration for people."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def read_known() -> dict[tuple[str, str], float]:
    """Returns the seconds of stages by stage and name: those measured here before those that the project knows."""
    from pipeline.tracking.usage import read

    with KNOWN.open(newline="") as file:
        known = {(row["stage"], row["name"]): float(row["seconds"]) for row in csv.DictReader(file)}
    return known | {(usage.stage, usage.name): usage.seconds for usage in read(MEASURED)}


def record() -> None:
    """Writes the mean seconds of each stage over the seeds to the file that the project knows them from."""
    from pipeline.tracking.usage import read

    seconds: dict[tuple[str, str], list[float]] = {}
    for usage in read(MEASURED):
        seconds.setdefault((usage.stage, without_seed(usage.name)), []).append(usage.seconds)
    with KNOWN.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["stage", "name", "seconds"])
        writer.writerows([*key, f"{fmean(values):.1f}"] for key, values in sorted(seconds.items()))
    print(f"{len(seconds)} stages in {KNOWN}")


if __name__ == "__main__":
    main()
