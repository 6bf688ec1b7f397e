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
Key = tuple[str, str]
"""The row that a curve stands in, and its seed and split as one word."""


@dataclass(frozen=True)
class Look:
    """How one experiment is drawn, in matplotlib's words."""

    colour: str
    dash: str
    marker: str


def looks(rows: Iterable[str]) -> dict[str, Look]:
    """Returns how each row looks in every figure: by its place among all of them."""
    return {
        row: Look(COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)], MARKERS[place % len(MARKERS)])
        for place, row in enumerate(dict.fromkeys(rows))
    }


def read_curve(path: Path, x: str, y: str) -> Curve:
    """Returns two columns of a CSV file with a header, without the rows in which ``y`` is empty."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row[y]]
    return [float(row[x]) for row in rows], [float(row[y]) for row in rows]


def draw_apart(curves: Mapping[Key, Curve], look: Mapping[str, Look], path: Path, *, x: str, y: str) -> None:
    """Draws a panel for each row: for values of which only the course can be compared, such as losses."""
    rows = _by_row(curves)
    figure, panels = _panels(len(rows), columns=6)
    for index, (panel, (row, seeds)) in enumerate(zip(panels, rows.items(), strict=True)):
        for xs, ys in seeds:
            panel.plot(xs, ys, color=look[row].colour, linewidth=1.8, marker=look[row].marker, markersize=3)
        panel.set(xlabel=x, ylabel=y if index % 6 == 0 else "", title=row)
        panel.set_ylim(bottom=min(0, *(value for _, ys in seeds for value in ys)))
    save(figure, path)


def draw_grid(measures: Mapping[str, Mapping[Key, Curve]], look: Mapping[str, Look], path: Path, *, x: str) -> None:
    """Draws a panel for each measure, with a curve for each row: the mean of its seeds, and these thin beside it."""
    figure, panels = _panels(len(measures), columns=3)
    shown = {}
    for panel, (title, curves) in zip(panels, measures.items(), strict=True):
        for row, seeds in _by_row(curves).items():
            style = look[row]
            xs, ys = _mean(seeds)
            (line,) = panel.plot(xs, ys, linewidth=1.8, markersize=3, color=style.colour, linestyle=style.dash)
            line.set(marker=style.marker, markevery=max(1, len(xs) // 10))
            shown[row] = line
            if len(seeds) > 1:
                for seed in seeds:
                    panel.plot(*seed, color=style.colour, linewidth=0.5, alpha=0.5)
        panel.set(xlabel=x)
        panel.set_title(title, fontsize="medium")
        panel.set_ylim(bottom=min(0, *(value for _, ys in curves.values() for value in ys)))
        panel.locator_params(axis="x", integer=True)
    fitting = int(figure.get_figwidth() / (0.8 + 0.09 * max(map(len, shown))))  # inches of a line and of a letter
    columns = max(1, min(len(shown), fitting))
    figure.set_figheight(figure.get_figheight() + 0.22 * (-(-len(shown) // columns) - 1))
    figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=columns, frameon=False)
    save(figure, path)


def _by_row(curves: Mapping[Key, Curve]) -> dict[str, list[Curve]]:
    """Returns the curves of each row's seeds and splits."""
    rows: dict[str, list[Curve]] = {}
    for (row, _), curve in curves.items():
        rows.setdefault(row, []).append(curve)
    return rows


def _mean(curves: Sequence[Curve]) -> Curve:
    """Returns the mean of curves where all of them have a value."""
    values = [dict(zip(xs, ys, strict=True)) for xs, ys in curves]
    common = [x for x in values[0] if all(x in other for other in values)]
    return common, [sum(each[x] for each in values) / len(values) for x in common]


def _panels(count: int, columns: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(1.2 + 3.4 * columns, 3.2 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in panels[count:]:
        panel.remove()
    for panel in panels[:count]:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25, linewidth=0.6)
    return figure, panels[:count]


def save(figure: Figure, path: Path) -> None:
    """Writes a figure; the same figure gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})
