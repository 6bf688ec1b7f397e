"""Numbers that others have published, each with its source (``published_results.csv``)."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.evaluation.metrics import MAIN, NAMES

PUBLISHED_FILE = Path(__file__).with_name("published_results.csv")
COLUMNS = ("data", "protocol", "supervision", "method", "venue", *NAMES, "note", "report", "source")
"""Of the metrics those that somebody has published; the file needs no column of the others."""
REPORTS = ("own", "third party")


@dataclass(frozen=True)
class Published:
    """One row as one source prints it. ``metrics`` are percentages, absent where not printed.

    ``data``, ``protocol`` and ``supervision`` are in the words of ``Protocol.data``, ``Protocol.label`` and
    ``Recipe.supervision``; ``note`` is what a reader must know before comparing; ``report`` says whether the source
    is the authors' ``own`` or a ``third party`` that quotes them.
    """

    data: str
    protocol: str
    supervision: str
    method: str
    venue: str
    metrics: Mapping[str, float]
    note: str
    report: str
    source: str


@dataclass(frozen=True)
class Quoted:
    """A method's numbers from all sources that agree: ``sources`` has, by metric, the one that prints most digits."""

    supervision: str
    method: str
    venue: str
    metrics: Mapping[str, float]
    sources: Mapping[str, str]
    notes: tuple[str, ...]


def read_published(path: Path = PUBLISHED_FILE) -> list[Published]:
    """Returns all published rows in the order of the file.

    Raises:
        ValueError: naming the line that has no source, a number outside [0, 100], or other columns.
    """
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        there = tuple(reader.fieldnames or ())
        if there != tuple(name for name in COLUMNS if name in there or name not in NAMES):
            raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {reader.fieldnames}")
        return [_parse(row, f"{path}, line {reader.line_num}") for row in reader]


def published_beside(rows: list[Published], *, data: str, protocol: str, supervision: Collection[str]) -> list[Quoted]:
    """Returns what may stand beside results on ``data``, in the order of ``supervision``, the worst mAP first."""
    fitting = [row for row in rows if (row.data, row.protocol) == (data, protocol) and row.supervision in supervision]
    order = list(supervision)
    return sorted(quote(fitting), key=lambda row: (order.index(row.supervision), row.metrics.get(MAIN, 0.0)))


def quote(rows: list[Published]) -> list[Quoted]:
    """Returns one row for each method and supervision, of rows of one data set and protocol.

    Where one source prints a rounding of what another prints, the more precise number is taken. Sources that disagree
    by more give a row each, with a note that says so.
    """
    methods: dict[tuple[str, str], list[list[Published]]] = {}
    for row in rows:
        versions = methods.setdefault((row.supervision, row.method), [])
        for version in versions:
            if all(_agree(row, other) for other in version):
                version.append(row)
                break
        else:
            versions.append([row])
    return [_merge(version, len(versions) > 1) for versions in methods.values() for version in versions]


def _agree(one: Published, other: Published) -> bool:
    shared = set(one.metrics) & set(other.metrics)
    return all(_is_rounding(one.metrics[name], other.metrics[name]) for name in shared)


def _is_rounding(one: float, other: float) -> bool:
    """Returns whether the number with fewer digits is the other one rounded."""
    return abs(one - other) <= 0.5 * 10.0 ** -min(_digits(one), _digits(other)) + 1e-9


def _digits(value: float) -> int:
    return len(repr(value).partition(".")[2])


def _merge(rows: list[Published], is_disputed: bool) -> Quoted:
    taken: dict[str, Published] = {}
    for name in NAMES:
        having = [row for row in rows if name in row.metrics]
        if having:
            taken[name] = max(having, key=lambda row: (_digits(row.metrics[name]), row.report == "own"))
    notes = [row.note for row in rows if row.note] + ["sources disagree, each is shown"] * is_disputed
    return Quoted(
        rows[0].supervision,
        rows[0].method,
        next((row.venue for row in rows if row.venue), ""),
        {name: row.metrics[name] for name, row in taken.items()},
        {name: row.source if row.report == "own" else f"{row.source} (third party)" for name, row in taken.items()},
        tuple(dict.fromkeys(notes)),
    )


def _parse(row: dict[str, str], where: str) -> Published:
    metrics = {name: float(row[name]) for name in NAMES if row.get(name)}
    if not row["source"] or row["report"] not in REPORTS:
        raise ValueError(f"{where}: a published number needs its source, and whether it is {' or '.join(REPORTS)}")
    if wrong := {name: value for name, value in metrics.items() if not 0 <= value <= 100}:
        raise ValueError(f"{where}: expected percentages, got {wrong}")
    return Published(metrics=metrics, **{name: row[name] for name in COLUMNS if name not in NAMES})
