"""Curves of experiments as figures: legible in print, and in colours that colour-blind readers can tell apart."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")
"""Okabe and Ito's colours, and a dash that goes with each, so that no curve is told by its colour alone."""

Curve = tuple[Sequence[float], Sequence[float]]


def read_curve(path: Path, x: str, y: str) -> Curve:
    """Returns two columns of a CSV file with a header."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [float(row[x]) for row in rows], [float(row[y]) for row in rows]


def draw_together(curves: Mapping[str, Curve], path: Path, *, x: str, y: str) -> None:
    """Draws the curves into one panel, each with its name."""
    figure, panels = _panels(1)
    for index, (name, (xs, ys)) in enumerate(curves.items()):
        colour, dash = COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)]
        panels[0].plot(xs, ys, label=name, linewidth=1.8, color=colour, linestyle=dash)
    panels[0].set(xlabel=x, ylabel=y)
    panels[0].legend(frameon=False)
    _save(figure, path)


def draw_apart(curves: Mapping[str, Curve], path: Path, *, x: str, y: str) -> None:
    """Draws a panel for each curve: for values of which only the course can be compared, such as losses."""
    figure, panels = _panels(len(curves))
    for index, (panel, (name, (xs, ys))) in enumerate(zip(panels, curves.items(), strict=True)):
        panel.plot(xs, ys, color=COLOURS[index % len(COLOURS)], linewidth=1.8, marker="o", markersize=3)
        panel.set(xlabel=x, ylabel=y if index == 0 else "", title=name)
        panel.set_ylim(bottom=min(0, *ys))
    _save(figure, path)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.2 + 3.4 * count, 3.2), layout="constrained")
    panels = list(figure.subplots(1, count, squeeze=False)[0])
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25, linewidth=0.6)
    return figure, panels


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})
