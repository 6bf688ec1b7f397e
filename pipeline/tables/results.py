"""All results as one CSV file: a row per experiment, data, protocol and seed, each with its whole stamp."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.evaluation.metrics import MAIN, NAMES
from pipeline.evaluation.stamp import Result, parse_stamp, read_result, stamp

SPREAD = f"{MAIN}_std"
COLUMNS = (
    "experiment",
    "method",
    "data",
    "protocol",
    "seed",
    "trials",
    *(column for name in NAMES for column in ((name, SPREAD) if name == MAIN else (name,))),
    "stamp",
)
REFERENCES = ("chance", "colour_stripes", "raw_pixels", "untrained", "pretrained")
"""Methods that learn nothing on the data; they stand first, in this order."""


def collect(paths: Sequence[Path]) -> list[Result]:
    """Returns the results in these ``metrics.json`` files, in the order of tables.

    Raises:
        ValueError: when there is none, one has no stamp, or two claim the same experiment, data, protocol and seed.
    """
    if not paths:
        raise ValueError(
            "no results to make tables of: evaluate first (make repro), or for a study make it first (reid study)"
        )
    results = [read_result(path) for path in paths]
    seen: dict[tuple[str, str, str, int], Path] = {}
    for path, result in zip(paths, results, strict=True):
        key = (result.experiment, result.protocol.data, protocol_name(result), result.seed)
        if key in seen:
            raise ValueError(
                f"{seen[key]} and {path} both hold {result.experiment} on {result.protocol.data}, "
                f"seed {result.seed}: give one of them another experiment name, or remove it"
            )
        seen[key] = path
    return sorted(results, key=_place)


def write_csv(results: Iterable[Result], path: Path) -> None:
    """Ensures that ``path`` holds the results, metrics in [0, 1], in exactly the columns ``COLUMNS``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for result in results:
            writer.writerow(
                {
                    "experiment": result.experiment,
                    "method": result.method,
                    "data": result.protocol.data,
                    "protocol": protocol_name(result),
                    "seed": result.seed,
                    "trials": result.trials,
                    **{name: result.metrics[name] for name in NAMES},
                    SPREAD: result.metrics.get(SPREAD, ""),
                    "stamp": json.dumps(stamp(result), separators=(",", ":")),
                }
            )


def read_csv(path: Path) -> list[Result]:
    """Returns what ``write_csv`` wrote.

    Raises:
        ValueError: when the file is not there, has other columns, or no row.
    """
    if not path.is_file():
        raise ValueError(f"no results at {path}: make them first (make repro)")
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            expected = ", ".join(COLUMNS)
            raise ValueError(f"{path}: expected the columns {expected}, got {reader.fieldnames}: make it again")
        results = [_parse(row, f"{path}, line {reader.line_num}") for row in reader]
    if not results:
        raise ValueError(f"{path} holds no results: run the evaluate stages first (make repro)")
    return results


def protocol_name(result: Result) -> str:
    """Returns the protocol in words, with the digest that tells two of the same words apart."""
    return f"{result.protocol.label} [{result.protocol.digest}]"


def _parse(row: dict[str, str], where: str) -> Result:
    protocol, recipe = parse_stamp(json.loads(row["stamp"]), where)
    metrics = {name: float(row[name]) for name in (*NAMES, SPREAD) if row[name] != ""}
    return Result(row["experiment"], row["method"], int(row["seed"]), int(row["trials"]), metrics, protocol, recipe)


def _place(result: Result) -> tuple[str, str, int, str, int]:
    reference = REFERENCES.index(result.experiment) if result.experiment in REFERENCES else len(REFERENCES)
    return (result.protocol.data, result.protocol.label, reference, result.experiment, result.seed)
