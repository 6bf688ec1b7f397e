"""Figures of what experiments have left behind: CMC, training loss, quality of clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.evaluation.stamp import read_result
from pipeline.tables.figures import Curve, Key, draw_apart, draw_grid, looks, read_curve

CLUSTER_MEASURES = {
    "num_clusters": "clusters",
    "noise": "share of noise",
    "ari": "adjusted Rand index",
    "nmi": "normalised mutual information",
    "bcubed_f": "BCubed F",
    "churn": "images that changed their cluster",
}
"""Columns of a history, and what they are called in a figure."""


@dataclass(frozen=True)
class Trained:
    """One training: the ``row`` it stands in, its seed and split as one word, its scores, its metrics by epoch."""

    row: str
    place: str
    scores: Path
    history: Path


def draw_curves(trainings: Sequence[Trained], folder: Path) -> None:
    """Ensures that ``folder`` holds the figures of those that were trained, each row alike in all of them.

    ``cmc.png`` has a panel for each data set and search, ``loss.png`` one for each row; ``clusters.png`` has one
    for each of ``CLUSTER_MEASURES``, and is drawn where a training made clusters. Seeds stand with their row.
    """
    trainings = [each for each in trainings if each.history.is_file()]
    if not trainings:
        return
    look = looks(each.row for each in trainings)
    draw_grid(_cmc(trainings), look, folder / "cmc.png", x="rank")
    loss = {(each.row, each.place): read_curve(each.history, "epoch", "loss") for each in trainings}
    draw_apart(loss, look, folder / "loss.png", x="epoch", y="training loss")
    if clustered := [each for each in trainings if _has_clusters(each.history)]:
        measures = {
            title: {(each.row, each.place): read_curve(each.history, "epoch", column) for each in clustered}
            for column, title in CLUSTER_MEASURES.items()
        }
        draw_grid(measures, look, folder / "clusters.png", x="epoch")


def _cmc(trainings: Sequence[Trained]) -> dict[str, dict[Key, Curve]]:
    """Returns the curves of each data set and search."""
    panels: dict[str, dict[Key, Curve]] = {}
    for each in trainings:
        for file in sorted(each.scores.rglob("metrics.json")):
            protocol = read_result(file).protocol
            panel = panels.setdefault(f"{protocol.data}, {protocol.label}", {})
            panel[each.row, each.place] = read_curve(file.with_name("cmc.csv"), "rank", "cmc")
    return panels


def _has_clusters(history: Path) -> bool:
    with history.open() as file:
        return "num_clusters" in file.readline()
