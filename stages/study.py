"""Trains and scores rows with all their seeds: what is missing.

reads    data/prepared/DATA, artifacts/train/pretrain, results/
writes   results/ROW/seedN: metrics.json, cmc.csv, history.csv and made.json, small files that git keeps

Says first what is missing and how long that takes. A study that was stopped, by whatever, goes on when it is started
again. A result that other parameters or other code have made is made again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline.experiments import DEFAULT_RUN, Trial, declaration, resolve, teacher_of, trials

RESULTS = Path("results")
MADE, KEPT = "made.json", ("metrics.json", "cmc.csv")
CODE = (
    *("backbones", "batches", "clustering", "evaluation", "images"),
    *("layers", "losses", "neighbors", "scoring", "training"),
)
"""The parts of the library that every result depends on, beside the folder of its paper."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds which rows, and whether to run them."""
    parser.add_argument("rows", nargs="*", help="declared experiments (default: those on generated data)")
    parser.add_argument("--plan", action="store_true", help="only say what is missing")


def run(given: argparse.Namespace) -> None:
    """Makes the results that are missing, one after the other, and says how far it is."""
    from pipeline.config import load

    tree = load()
    wanted = [trial for row in given.rows or rows_of(tree) for trial in trials(tree, row)]
    missing = [trial for trial in wanted if not is_made(tree, trial)]
    print(f"study: {len(wanted)} results, {len(missing)} of them missing{expected(missing)}", flush=True)
    if given.plan:
        print("\n".join(f"  {trial.experiment} {trial.place}" for trial in missing))
    for number, trial in enumerate([] if given.plan else missing):
        print(f"study: {trial.experiment} {trial.place}{expected(missing[number:])}", flush=True)
        make(tree, trial)


def rows_of(tree: dict[str, Any]) -> list[str]:
    """Returns the rows of the study on generated data: the default run's experiments, and their parts."""
    return [name for key in DEFAULT_RUN[1:] for name in tree[key]] + list(tree["studies"]["ablations"])


def is_made(tree: dict[str, Any], trial: Trial) -> bool:
    """Returns whether a result is there, and made by these parameters and this code."""
    file = place(trial) / MADE
    return file.is_file() and json.loads(file.read_text())["digests"] == digests(tree, trial)


def place(trial: Trial) -> Path:
    """Returns the folder of a result."""
    return RESULTS / trial.experiment / trial.place


def digests(tree: dict[str, Any], trial: Trial) -> dict[str, str]:
    """Returns digests of the parameters and of the code that a result depends on."""
    from pipeline.experiments import resolve_data
    from pipeline.provenance import ROOT, digest, file_digest

    links = list(chain(tree, trial))
    start = [resolve(tree, link) for link in starts(tree, links)]
    data = {name: resolve_data(tree, name) for name in {declaration(tree, link.experiment)["data"] for link in links}}
    parameters = [[resolve(tree, link) for link in links], start, data, tree["evaluation"]]
    papers = {Path("methods", declaration(tree, link.experiment)["paper"]) for link in links}
    folders = [ROOT / "pipeline" / part for part in sorted({*map(str, papers), *CODE})]
    files = [file for folder in folders for file in sorted(folder.rglob("*.py")) if file.name != "about.py"]
    return {"parameters": digest(parameters), "code": digest([file_digest(file) for file in files])}


def chain(tree: dict[str, Any], trial: Trial) -> Iterator[Trial]:
    """Yields the trial that a trial learns from, and so on, first things first, and then itself."""
    teacher = teacher_of(tree, trial)
    if teacher:
        yield from chain(tree, teacher)
    yield trial


def starts(tree: dict[str, Any], links: list[Trial]) -> list[Trial]:
    """Returns the declared trainings from whose weights those of a chain start."""
    from pipeline.experiments import start_of, trial

    named = {Path(start_of(resolve(tree, link))).name for link in links}
    return [trial(tree, name) for name in sorted(named & tree["starts"].keys())]


@dataclass(frozen=True)
class Command:
    """One command of a result's making."""

    stage: str
    trial: Trial

    def run(self) -> None:
        """Runs it in a process of its own, so that its code is that of its method alone.

        Raises:
            ValueError: when it fails; what failed was printed.
        """
        named = [self.trial.experiment, "--seed", str(self.trial.seed), "--split", str(self.trial.split), "--apart"]
        if subprocess.run([sys.executable, "-m", "stages", self.stage, *named], check=False).returncode:
            raise ValueError("the study stopped (see above); what is done is kept, and the same command goes on")


def commands(tree: dict[str, Any], trial: Trial) -> list[Command]:
    """Returns what makes a result: every link of its chain is trained, and clusters for the next."""
    *before, last = chain(tree, trial)
    making = [Command(stage, link) for link in before for stage in ("train", "cluster")]
    return [*making, Command("train", last), Command("evaluate", last)]


def make(tree: dict[str, Any], trial: Trial) -> None:
    """Makes one result and puts its small files where git keeps them."""
    from pipeline.provenance import git_commit, versions

    before, begun = digests(tree, trial), time.monotonic()
    shutil.rmtree(trial.folder("evaluate"), ignore_errors=True)  # of other searches, perhaps
    for command in commands(tree, trial):
        command.run()
    scores, folder, partial = trial.folder("evaluate"), place(trial), RESULTS / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    for file in (file for name in KEPT for file in scores.rglob(name)):
        target = partial / file.relative_to(scores)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    shutil.copyfile(trial.folder("train") / "history.csv", partial / "history.csv")
    made = {
        "digests": before,
        "seconds": round(time.monotonic() - begun),
        "commit": git_commit(),
        "versions": versions(),
    }
    (partial / MADE).write_text(json.dumps(made, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(exist_ok=True)
    partial.rename(folder)  # it is there whole or not at all


def expected(missing: list[Trial]) -> str:
    """Returns how long results take, by what the others of their row, or of all rows, have taken."""
    known: dict[str, list[float]] = {}
    for file in RESULTS.glob(f"*/*/{MADE}"):
        known.setdefault(file.parts[-3], []).append(json.loads(file.read_text())["seconds"])
    if not missing or not known:
        return ""
    overall = fmean([seconds for row in known.values() for seconds in row])
    minutes = round(sum(fmean(known.get(trial.experiment, [overall])) for trial in missing) / 60)
    return f", {minutes} min" if minutes < 60 else f", {minutes // 60} h {minutes % 60:02} min"
