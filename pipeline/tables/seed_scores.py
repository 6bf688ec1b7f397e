"""One number of each seed of a row, from the small files that a study keeps."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

MAIN_SEARCHES = ("", "all-search")
"""Where the metrics.json is that a claim is about: a data set has one of them."""


@dataclass(frozen=True)
class SeedScores:
    """The results of rows: a folder for each seed, by row. A row may stand for another one, as a pilot's does.

    ==================== ===============================================================================================
    mAP, rank1, ...      of the whole embedding, by the main search (``metrics.json``)
    clusters/NAME        of the clusters that the last epoch began with (``history.csv``)
    passes               of a student: passes over the data until its own clusters are as good, by their adjusted Rand
                         index, as those that its teacher ended with; all of its passes, if they never are. Of any
                         other row: all of its passes. A pass has as many steps as the last epoch
    all others           of ``measures.json``
    ==================== ===============================================================================================
    """

    folders: Mapping[str, Mapping[int, Path]]

    @classmethod
    def read(cls, places: Iterable[Path], names: Mapping[str, str] | None = None) -> SeedScores:
        """Takes results as ``pipeline.results.found`` has them; ``names`` gives a folder's name for a row's."""
        rows = {folder: row for row, folder in (names or {}).items()}
        folders: dict[str, dict[int, Path]] = {}
        for place in places:
            seed, _, split = place.name.removeprefix("seed").partition("-split")
            if seed.isdecimal() and not split:
                folders.setdefault(rows.get(place.parent.name, place.parent.name), {})[int(seed)] = place
        return cls(folders)

    def of(self, row: str, metric: str) -> dict[int, float]:
        """Returns the metric of each seed of a row; nothing for a row that was not run, or does not have it."""
        found = {seed: self._read(folder, metric) for seed, folder in self.folders.get(row, {}).items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def _read(self, folder: Path, metric: str) -> float | None:
        if metric == "passes" or metric.startswith("clusters/"):
            history = read_history(folder)
            if not history or "ari" not in history[0]:
                return None
            return count_passes(history) if metric == "passes" else float(history[-1][metric.removeprefix("clusters/")])
        measures = folder / "measures.json"
        files = [*(folder / search / "metrics.json" for search in MAIN_SEARCHES), measures]
        for file in (file for file in files if file.is_file()):
            if (value := json.loads(file.read_text()).get(metric)) is not None:
                return float(value)
        return None


def read_history(folder: Path) -> list[dict[str, str]]:
    """Returns the rows of a history, one for each epoch; none where there is no history."""
    if not (folder / "history.csv").is_file():
        return []
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def count_passes(history: list[dict[str, str]]) -> float:
    """Returns ``passes`` of a history, see ``SeedScores``.

    A student's first epoch has its teacher's last clusters, and more steps than the others.
    """
    steps = [float(epoch["steps"]) for epoch in history]
    before = [0.0, *accumulate(steps)]
    if steps[0] > steps[-1]:
        goal = float(history[0]["ari"])
        for done, epoch in zip(before[1:], history[1:], strict=False):
            if float(epoch["ari"]) >= goal:
                return done / steps[-1]
    return before[-1] / steps[-1]
