"""Curves of experiments as figures: legible in print, and in colours that colour-blind readers can tell apart."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v")
"""Okabe and Ito's colours, and a dash and a marker that go with each: no curve is told by its colour alone."""

Curve = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class Look:
    """How one experiment is drawn, in matplotlib's words."""

    colour: str
    dash: str
    marker: str


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Returns how each experiment looks in every figure: by its place among all of them; seeds look like their row."""
    rows: dict[str, int] = {}
    places = {name: rows.setdefault(row_of(name), len(rows)) for name in names}
    return {
        name: Look(COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)], MARKERS[place % len(MARKERS)])
        for name, place in places.items()
    }


def row_of(name: str) -> str:
    """Returns the experiment whose row NAME_seed2 stands in: NAME."""
    return name.partition("_seed")[0]


def read_curve(path: Path, x: str, y: str) -> Curve:
    """Returns two columns of a CSV file with a header, without the rows in which ``y`` is empty."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row[y]]
    return [float(row[x]) for row in rows], [float(row[y]) for row in rows]


def draw_apart(curves: Mapping[str, Curve], look: Mapping[str, Look], path: Path, *, x: str, y: str) -> None:
    """Draws a panel for each curve: for values of which only the course can be compared, such as losses."""
    figure, panels = _panels(len(curves))
    for index, (panel, (name, (xs, ys))) in enumerate(zip(panels, curves.items(), strict=True)):
        panel.plot(xs, ys, color=look[name].colour, linewidth=1.8, marker=look[name].marker, markersize=3)
        panel.set(xlabel=x, ylabel=y if index == 0 else "", title=name)
        panel.set_ylim(bottom=min(0, *ys))
    _save(figure, path)


def draw_grid(measures: Mapping[str, Mapping[str, Curve]], look: Mapping[str, Look], path: Path, *, x: str) -> None:
    """Draws a panel for each measure, with the curves of all experiments."""
    columns = min(3, len(measures))
    rows = -(-len(measures) // columns)
    figure, panels = _panels(columns * rows, rows=rows)
    shown = {}
    for panel, (title, curves) in zip(panels, measures.items(), strict=False):
        for name, (xs, ys) in curves.items():
            style = look[name]
            (line,) = panel.plot(xs, ys, linewidth=1.8, markersize=3, color=style.colour, linestyle=style.dash)
            line.set(marker=style.marker, markevery=max(1, len(xs) // 10))
            shown[name] = line
        panel.set(xlabel=x, title=title)
        panel.set_ylim(bottom=min(0, *(value for _, ys in curves.values() for value in ys)))
        panel.locator_params(axis="x", integer=True)
    for panel in panels[len(measures) :]:
        panel.remove()
    figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=len(shown), frameon=False)
    _save(figure, path)


def _panels(count: int, rows: int = 1) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    columns = count // rows
    figure = Figure(figsize=(1.2 + 3.4 * columns, 3.2 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25, linewidth=0.6)
    return figure, panels


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})
