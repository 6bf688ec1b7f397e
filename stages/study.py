"""Trains and scores rows with all their seeds: what is missing.

reads    data/prepared/DATA, artifacts/train/pretrain, results/
writes   results/ROW/seedN: metrics.json, cmc.csv, measures.json, history.csv and made.json, small files that git keeps

Says first what is missing and how long that takes. Seeds run side by side: one on each core, or on each GPU; on all
machines of RAY_ADDRESS. A study that was stopped, by whatever, goes on when it is started again. A result is made
again where the parameters, the data, or what its code computes are others than when it was made (docs/results.md).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline.experiments import DEFAULT_RUN, Trial, declaration, resolve, resolve_data, trial, trials
from pipeline.progress import duration
from pipeline.results import (
    MADE,
    REFERENCES,
    RESULTS,
    ROW,
    are_same,
    chain,
    parameters,
    parameters_of_references,
    place,
    place_of_references,
    read_row,
    starts,
    state,
    state_of_references,
    trainings,
)
from stages.arguments import PREPARED

KEPT = ("metrics.json", "cmc.csv", "measures.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds which rows, and whether to run them."""
    parser.add_argument("rows", nargs="*", help="declared experiments (default: those on generated data)")
    parser.add_argument("--plan", action="store_true", help="only say what is missing")


def run(given: argparse.Namespace) -> None:
    """Makes the results that are missing, and says how far it is.

    Raises:
        ValueError: at the end, naming what failed; all else is there.
    """
    from pipeline.config import load

    study(load(), given.rows, plan=given.plan)


def study(tree: dict[str, Any], rows: Sequence[str], *, plan: bool) -> None:
    """Makes the results of rows that are missing, by default of the whole study; with ``plan`` it only names them."""
    wanted = [trial for row in rows or rows_of(tree) for trial in trials(tree, row)]
    data = {} if rows else {declaration(tree, trial.experiment)["data"]: None for trial in wanted}
    if not plan:
        prepare(tree, wanted)
        mark_rows(tree, wanted, list(data))
    parts = [part_of_references(tree, name) for name in data]
    parts += [part_of(tree, trial) for trial in sorted(wanted, key=lambda trial: (trial.seed, trial.split))]
    missing = [part for part in parts if part.wrong]
    print(f"study: {len(parts)} results, {len(missing)} of them missing{expected(missing)}", flush=True)
    if plan:
        for part in missing:
            print(f"  {part.name}" + ("" if part.wrong == "missing" else f" (there by {part.wrong})"))
    elif missing:
        train_starts(tree, wanted)
        make(missing)


def rows_of(tree: dict[str, Any]) -> list[str]:
    """Returns the rows of the study on generated data: the default run's experiments, and their parts."""
    return [name for key in DEFAULT_RUN[1:] for name in tree[key]] + list(tree["studies"]["ablations"])


def prepare(tree: dict[str, Any], wanted: list[Trial]) -> None:
    """Ensures that the data of all trials are there; generated ones are those that params.yaml says now."""
    needed = {declaration(tree, each.experiment)["data"] for trial in wanted for each in trainings(tree, trial)}
    for name in sorted(needed):
        if resolve_data(tree, name)["people"] or not (PREPARED / name).is_dir():
            run_alone("prepare", name)


def train_starts(tree: dict[str, Any], wanted: list[Trial]) -> None:
    """Ensures that the start weights of all trials are there, by the parameters, data and code of now."""
    names = {start.experiment for each in wanted for start in starts(tree, list(chain(tree, each)))}
    for name in sorted(names):
        run_alone("train", name)


def run_alone(*command: str) -> None:
    """Runs a command that leaves alone what is there already."""
    from pipeline.jobs.side_by_side import Task, run_commands

    print(f"study: reid {' '.join(command)}", flush=True)
    task = Task(" ".join(command), "", [command], Path("artifacts/runs/study.log"))
    if trouble := run_commands(task, Path.cwd(), os.environ).trouble:
        raise ValueError(trouble)


def mark_rows(tree: dict[str, Any], wanted: list[Trial], data: list[str]) -> None:
    """Ensures that each row says what it computes now, and on which data; says where that has changed."""
    from pipeline.images.store import ImageStore
    from pipeline.methods.registry import find
    from pipeline.training.numerics import find_mark

    start = trial(tree, tree["references"]["pretrained"])
    rows = {REFERENCES: ({start.experiment: resolve(tree, start)}, set(data))} if data else {}
    for each in wanted:
        blocks = {link.experiment: resolve(tree, link) for link in trainings(tree, each)}
        own, shown = rows.get(each.experiment, (blocks, set()))
        rows[each.experiment] = (own, shown | {block["data"] for block in blocks.values()})
    known: dict[str, list[float]] = {}
    for name, (blocks, shown) in rows.items():
        for training, block in blocks.items():
            if training not in known:
                print(f"study: numerics mark of {training}", flush=True)
                known[training] = find_mark(block, find(block["method"]))
        row, marks = read_row(name), {training: known[training] for training in blocks}
        prints = {place: ImageStore(PREPARED / place).meta["fingerprint"] for place in sorted(shown)}
        new = {"marks": row["marks"] if are_same(row["marks"], marks) else marks, "data": {**row["data"], **prints}}
        if new != row:
            if row["marks"]:
                print(f"study: {name} computes something else than before: its results are made again", flush=True)
            write_json(RESULTS / name / ROW, new)


@dataclass(frozen=True)
class Part:
    """One result of a study: where its folder is, what is wrong with it, and what makes it.

    ``scores`` is where its commands leave their scores, ``trained`` the training that has a history, if any; ``made``
    is what it then says of itself.
    """

    name: str
    folder: Path
    wrong: str
    chain: str
    commands: tuple[tuple[str, ...], ...]
    scores: Path
    trained: Path | None
    made: dict[str, Any]


def part_of(tree: dict[str, Any], trial: Trial) -> Part:
    """Returns the result of a trial: every link of its chain is trained, and clusters for the next."""
    *before, last = chain(tree, trial)
    commands = [words(stage, link) for link in before for stage in ("train", "cluster")]
    first = before[0] if before else last
    return Part(
        name=f"{trial.experiment} {trial.place}",
        folder=place(trial),
        wrong=state(tree, trial),
        chain=f"{first.experiment} {first.place}",
        commands=(*commands, words("train", last), words("evaluate", last)),
        scores=trial.folder("evaluate"),
        trained=trial.folder("train"),
        made={"parameters": parameters(tree, trial), **read_row(trial.experiment)},
    )


def part_of_references(tree: dict[str, Any], data: str) -> Part:
    """Returns what a method has to beat on a data set."""
    name, scores = f"{REFERENCES} {data}", Path("artifacts/runs", REFERENCES, data, "evaluate")
    return Part(
        name=name,
        folder=place_of_references(data),
        wrong=state_of_references(tree, data),
        chain=name,
        commands=((REFERENCES, data, "--out", scores.as_posix()),),
        scores=scores,
        trained=None,
        made={"parameters": parameters_of_references(tree, data), **read_row(REFERENCES)},
    )


def words(stage: str, trial: Trial) -> tuple[str, ...]:
    """Returns a command; a training is in that command's own process."""
    alone = ("--workers", "0") if stage == "train" else ()
    return (stage, trial.experiment, "--seed", str(trial.seed), "--split", str(trial.split), "--apart", *alone)


def make(missing: list[Part]) -> None:
    """Makes results side by side, and puts the small files of each where git keeps them, as soon as it has ended."""
    from pipeline.jobs.side_by_side import Task, run_side_by_side

    tasks = {}
    for part in missing:
        shutil.rmtree(part.scores, ignore_errors=True)  # of other searches, perhaps
        tasks[Task(part.name, part.chain, part.commands, part.scores.with_name("log.txt"))] = part
    begun, troubles, done = time.monotonic(), [], 0
    for task, outcome in run_side_by_side(list(tasks)):
        done += 1
        if outcome.trouble:
            troubles.append(outcome.trouble)
            print(f"study: {task.name} failed ({task.log})", flush=True)
            continue
        keep(tasks[task], outcome.seconds)
        left = duration((time.monotonic() - begun) / done * (len(missing) - done))
        print(f"study: {task.name} is made; {done} of {len(missing)}, {left} left", flush=True)
    if troubles:
        raise ValueError("\n".join([f"{len(troubles)} results failed; the same command tries again:", *troubles]))


def keep(part: Part, seconds: float) -> None:
    """Puts the small files of a result into its folder; it is there whole or not at all."""
    from pipeline.provenance import git_commit, processor, versions

    partial = RESULTS / f".{part.name.replace(' ', '-')}"
    shutil.rmtree(partial, ignore_errors=True)
    for file in (file for name in KEPT for file in part.scores.rglob(name)):
        target = partial / file.relative_to(part.scores)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    if part.trained:
        shutil.copyfile(part.trained / "history.csv", partial / "history.csv")
    about = {"seconds": round(seconds), "commit": git_commit(), "versions": versions(), "processor": processor()}
    write_json(partial / MADE, {**part.made, **about})
    shutil.rmtree(part.folder, ignore_errors=True)
    part.folder.parent.mkdir(parents=True, exist_ok=True)
    partial.rename(part.folder)


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Ensures that a file holds this."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1) + "\n")


def expected(missing: list[Part]) -> str:
    """Returns how long results take on the cores of this machine, by what others of their row, or of all, took."""
    known: dict[str, list[float]] = {}
    for file in RESULTS.glob(f"*/*/{MADE}"):
        known.setdefault(file.parts[-3], []).append(json.loads(file.read_text())["seconds"])
    if not missing or not known:
        return ""
    overall = fmean([seconds for row in known.values() for seconds in row])
    seconds = sum(fmean(known.get(part.folder.parts[-2], [overall])) for part in missing)
    return f", {duration(seconds / min(len(missing), os.cpu_count() or 1))}"
