"""Figures of what experiments have left behind: CMC, training loss, quality of clusters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.evaluation.stamp import read_result
from pipeline.tables.figures import Curve, draw_apart, draw_grid, looks, read_curve

CLUSTER_MEASURES = {
    "num_clusters": "clusters",
    "noise": "share of noise",
    "ari": "adjusted Rand index",
    "nmi": "normalised mutual information",
    "bcubed_f": "BCubed F",
    "churn": "images that changed their cluster",
}
"""Columns of a history, and what they are called in a figure."""


def find_scores(scores: Path, names: Sequence[str]) -> list[Path]:
    """Returns the ``metrics.json`` of everything named below ``scores``: in its folder, or in one for each search.

    Raises:
        ValueError: naming those that have none.
    """
    found = {name: sorted((scores / name).rglob("metrics.json")) for name in names}
    if missing := [name for name, files in found.items() if not files]:
        raise ValueError(f"no metrics.json in {scores} for {', '.join(missing)}: evaluate them first")
    return [file for files in found.values() for file in files]


def draw_curves(names: Sequence[str], *, scores: Path, trainings: Path, folder: Path) -> None:
    """Ensures that ``folder`` holds the figures of those named that were trained, each alike in all of them.

    ``cmc.png`` has a panel for each data set and search, ``loss.png`` one for each row; ``clusters.png`` has one
    for each of ``CLUSTER_MEASURES``, and is drawn where a training made clusters. Seeds stand with their row.
    """
    histories = {name: trainings / name / "history.csv" for name in names}
    histories = {name: path for name, path in histories.items() if path.is_file()}
    if not histories:
        return
    look = looks(histories)
    draw_grid(_cmc(scores, list(histories)), look, folder / "cmc.png", x="rank")
    loss = {name: read_curve(path, "epoch", "loss") for name, path in histories.items()}
    draw_apart(loss, look, folder / "loss.png", x="epoch", y="training loss")
    if clustered := {name: path for name, path in histories.items() if _has_clusters(path)}:
        measures = {
            title: {name: read_curve(path, "epoch", column) for name, path in clustered.items()}
            for column, title in CLUSTER_MEASURES.items()
        }
        draw_grid(measures, look, folder / "clusters.png", x="epoch")


def _cmc(scores: Path, names: Sequence[str]) -> dict[str, dict[str, Curve]]:
    """Returns the curves of each data set and search, by experiment."""
    panels: dict[str, dict[str, Curve]] = {}
    for name in names:
        for file in find_scores(scores, [name]):
            protocol = read_result(file).protocol
            panel = panels.setdefault(f"{protocol.data}, {protocol.label}", {})
            panel[name] = read_curve(file.with_name("cmc.csv"), "rank", "cmc")
    return panels


def _has_clusters(history: Path) -> bool:
    with history.open() as file:
        return "num_clusters" in file.readline()
