"""Numbers that others have published, each with its source (``published_results.csv``)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.evaluation.stamp import METRICS

PUBLISHED_FILE = Path(__file__).with_name("published_results.csv")
COLUMNS = ("data", "protocol", "supervision", "method", "venue", *METRICS, "note", "source")


@dataclass(frozen=True)
class Published:
    """One published row. ``metrics`` are percentages as printed, absent where not printed.

    ``data``, ``protocol`` and ``supervision`` are in the words of ``Protocol.data``, ``Protocol.label`` and
    ``Recipe.supervision``; ``note`` is what a reader must know before comparing.
    """

    data: str
    protocol: str
    supervision: str
    method: str
    venue: str
    metrics: Mapping[str, float]
    note: str
    source: str


def read_published(path: Path = PUBLISHED_FILE) -> list[Published]:
    """Returns all published rows in the order of the file.

    Raises:
        ValueError: naming the line that has no source, a number outside [0, 100], or other columns.
    """
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {reader.fieldnames}")
        return [_parse(row, f"{path}, line {reader.line_num}") for row in reader]


def published_beside(rows: list[Published], *, data: str, protocol: str, supervision: set[str]) -> list[Published]:
    """Returns the rows that may stand beside results on ``data``, the worst mAP first."""
    fitting = [row for row in rows if (row.data, row.protocol) == (data, protocol) and row.supervision in supervision]
    return sorted(fitting, key=lambda row: row.metrics.get("mAP", 0.0))


def _parse(row: dict[str, str], where: str) -> Published:
    metrics = {name: float(row.pop(name)) for name in METRICS if row[name] != ""}
    if not row["source"]:
        raise ValueError(f"{where}: a published number needs its source")
    if wrong := {name: value for name, value in metrics.items() if not 0 <= value <= 100}:
        raise ValueError(f"{where}: expected percentages, got {wrong}")
    return Published(metrics=metrics, **{name: row[name] for name in COLUMNS if name not in METRICS})
