"""What each stage took: time, memory, throughput."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from pipeline.report.artifacts import Training
from pipeline.tracking.usage import Usage

ORDER = ("prepare", "train", "cluster", "references", "evaluate", "tables")
OWN = "report"  # what the page before this one took: another page each time it is made


@dataclass(frozen=True)
class Cost:
    """One stage; None where nobody has recorded it. ``images_per_second``: the median of its epochs."""

    stage: str
    name: str
    seconds: float | None
    peak_memory_megabytes: float | None
    images_per_second: float | None
    epochs: int | None


def costs(usages: Sequence[Usage], trainings: Mapping[str, Training]) -> list[Cost]:
    """Returns a row for every stage that was recorded and for every training, in the order of the pipeline."""
    known = {(usage.stage, usage.name): usage for usage in usages if usage.stage != OWN}
    rows = [*known, *(("train", name) for name in trainings if ("train", name) not in known)]
    found = []
    for stage, name in sorted(rows, key=_place):
        usage, training = known.get((stage, name)), trainings.get(name) if stage == "train" else None
        speeds = training.curve("images_per_second")[1] if training else []
        found.append(
            Cost(
                stage,
                name,
                usage.seconds if usage else None,
                usage.peak_memory_megabytes if usage else None,
                median(speeds) if speeds else None,
                len(training.history) if training else None,
            )
        )
    return found


def in_words(seconds: float | None) -> str:
    """Returns a length of time for a table.

    >>> in_words(4.21), in_words(83.0), in_words(7260.0), in_words(None)
    ('4.2 s', '1:23 min', '2:01 h', 'not recorded')
    """
    if seconds is None:
        return "not recorded"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def _place(row: tuple[str, str]) -> tuple[int, str, str]:
    stage, name = row
    return (ORDER.index(stage) if stage in ORDER else len(ORDER), stage, name)
