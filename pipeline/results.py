"""Results that git keeps: a folder for each row, in it one for each of its seeds and splits, and what makes them stale.

results/ROW/row.json                  what the row computes: numerics marks and fingerprints of data, as of now
results/ROW/seedN[-splitK]/made.json  the same as of when the result was made, with its parameters, commit, versions
results/ROW/seedN[-splitK]/...        metrics.json (one for each search), cmc.csv, measures.json, history.csv
results/references/DATA/...           the same of what a method has to beat
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import isclose
from pathlib import Path
from typing import Any

from pipeline.experiments import (
    Trial,
    data_sets,
    declaration,
    experiments,
    resolve,
    resolve_data,
    start_of,
    teacher_of,
    trial,
)
from pipeline.provenance import digest

RESULTS = Path("results")
ROW, MADE, REFERENCES = "row.json", "made.json", "references"
TOLERANCE = 1e-9
"""Relative: how far the losses of a numerics mark may lie apart."""


def place(of: Trial) -> Path:
    """Returns the folder of a result."""
    return RESULTS / of.experiment / of.place


def chain(tree: Mapping[str, Any], of: Trial) -> Iterator[Trial]:
    """Yields the trial that a trial learns from, and so on, first things first, and then itself."""
    teacher = teacher_of(tree, of)
    if teacher:
        yield from chain(tree, teacher)
    yield of


def starts(tree: Mapping[str, Any], links: list[Trial]) -> list[Trial]:
    """Returns the declared trainings from whose weights those of a chain start."""
    named = {Path(start_of(resolve(tree, link))).name for link in links}
    return [trial(tree, name) for name in sorted(named & tree["starts"].keys())]


def trainings(tree: Mapping[str, Any], of: Trial) -> list[Trial]:
    """Returns all trainings that a result depends on: those of start weights, then its chain."""
    links = list(chain(tree, of))
    return [*starts(tree, links), *links]


def parameters(tree: Mapping[str, Any], of: Trial) -> str:
    """Returns a digest of all parameters that a result depends on."""
    trained = trainings(tree, of)
    data = {name: resolve_data(tree, name) for name in {declaration(tree, each.experiment)["data"] for each in trained}}
    return digest([[resolve(tree, each) for each in trained], data, tree["evaluation"]])


def read_row(row: str) -> dict[str, Any]:
    """Returns what a row computes, as it was last written; ``marks`` and ``data`` are empty where it never was."""
    file = RESULTS / row / ROW
    return dict(json.loads(file.read_text())) if file.is_file() else {"marks": {}, "data": {}}


def state(tree: Mapping[str, Any], of: Trial) -> str:
    """Returns what is wrong with a result, or nothing.

    ``missing``, or made by ``other parameters``, ``other code``, ``other data``.
    """
    return _state(place(of), parameters(tree, of), read_row(of.experiment))


def place_of_references(data: str) -> Path:
    """Returns the folder of what a method has to beat on a data set."""
    return RESULTS / REFERENCES / data


def parameters_of_references(tree: Mapping[str, Any], data: str) -> str:
    """Returns a digest of all parameters that these depend on."""
    start = trial(tree, tree["references"]["pretrained"])
    return digest([resolve(tree, start), tree["references"], resolve_data(tree, data), tree["evaluation"]])


def state_of_references(tree: Mapping[str, Any], data: str) -> str:
    """Returns what is wrong with the references on a data set, or nothing; see ``state``."""
    return _state(place_of_references(data), parameters_of_references(tree, data), read_row(REFERENCES))


def _state(folder: Path, digest_now: str, row: Mapping[str, Any]) -> str:
    if not (folder / MADE).is_file():
        return "missing"
    made = json.loads((folder / MADE).read_text())
    if made["parameters"] != digest_now:
        return "other parameters"
    if not are_same(made["marks"], row["marks"]):
        return "other code"
    return "" if all(row["data"].get(name, known) == known for name, known in made["data"].items()) else "other data"


def are_same(one: Mapping[str, list[float]], other: Mapping[str, list[float]]) -> bool:
    """Returns whether the numerics marks of two chains of trainings are of the same computations."""
    return one.keys() == other.keys() and all(
        len(one[name]) == len(other[name])
        and all(isclose(a, b, rel_tol=TOLERANCE) for a, b in zip(one[name], other[name], strict=True))
        for name in one
    )


def found(tree: Mapping[str, Any]) -> tuple[list[Path], list[str]]:
    """Returns the folders of all results that hold, and a line on each that is left out.

    Rows called RECIPE@DATA are no part of a study, and never left out with a word.
    """
    declared, data = experiments(tree), data_sets(tree)
    held, left_out = [], []
    for folder in sorted(file.parent for file in RESULTS.glob(f"[!.]*/*/{MADE}") if "@" not in file.parts[-3]):
        row, name = folder.parts[-2:]
        if row not in declared and not (row == REFERENCES and name in data):
            left_out.append(f"{row} {name}: params.yaml does not declare it")
            continue
        wrong = state_of_references(tree, name) if row == REFERENCES else state(tree, _trial_of(tree, row, name))
        if wrong:
            left_out.append(f"{row} {name}: made by {wrong}")
        else:
            held.append(folder)
    return held, left_out


def found_of(tree: Mapping[str, Any], row: str) -> list[Path]:
    """Returns the folders of a row's results that hold, whether it is declared or called RECIPE@DATA."""
    folders = sorted(file.parent for file in (RESULTS / row).glob(f"*/{MADE}"))
    return [folder for folder in folders if not state(tree, _trial_of(tree, row, folder.name))]


def _trial_of(tree: Mapping[str, Any], row: str, name: str) -> Trial:
    seed, _, split = name.removeprefix("seed").partition("-split")
    return trial(tree, row, seed=int(seed), split=int(split or 1), apart=True)
