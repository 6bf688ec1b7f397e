"""A paper's ablation: which switches are on, what we measured with them, and what is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.evaluation.stamp import Result, check_equal_protocols
from pipeline.tables.comparison import Measured, find_quoted, interval, measure, number, title_of
from pipeline.tables.differences import paired_differences
from pipeline.tables.overview import MARKED, training_marks
from pipeline.tables.papers import Grid, GridPlace, Ours, results_of
from pipeline.tables.published import Published, Quoted, published_beside
from pipeline.tables.render import Cell, Sources, Table, drop_empty_columns


@dataclass(frozen=True)
class GridRow:
    """One combination of switches: ours if there is such an experiment, and what is published."""

    name: str
    switches: Sequence[str]
    ours: Measured | None
    quoted: Quoted | None
    gain: str
    """How far its mAP is above the base's, paired by seed, in words."""


@dataclass(frozen=True)
class Filled:
    """A grid with the numbers of one place, and the experiments that are to be marked."""

    grid: Grid
    place: GridPlace
    rows: list[GridRow]
    marks: Mapping[str, str]

    @property
    def title(self) -> str:
        """What is varied, and which variant of it."""
        return f"{self.grid.title}, {self.place.variant}" if self.place.variant else self.grid.title


def fill(grid: Grid, place: GridPlace, results: Iterable[Result], published: list[Published]) -> Filled:
    """Returns the grid with all that is known at ``place``.

    Raises:
        ValueError: when results of different protocols would stand in it, or a row repeats what is not published.
    """
    every = list(results)
    found = [
        result
        for experiment in place.experiments.values()
        for result in results_of(every, place, experiment, splits=place.splits)
    ]
    if found:
        check_equal_protocols(found)
    supervision = sorted({row.supervision for row in published})
    quoted = published_beside(published, data=place.data, protocol=place.protocol, supervision=supervision)
    rows = []
    for name, *switches in grid.rows:
        experiment = place.experiments.get(name)
        own = [result for result in found if result.experiment == experiment]
        repeated = Ours(row=name, experiment=experiment or "", published=place.published.get(name, ""))
        rows.append(
            GridRow(
                name,
                switches,
                measure(experiment, own, splits=place.splits) if experiment else None,
                find_quoted(repeated, quoted, place),
                _gain(found, experiment, place.experiments.get(grid.base)),
            )
        )
    return Filled(grid, place, rows, training_marks(found))


def grid_table(found: Filled) -> Table:
    """Returns the grid as a table; rows that nobody has measured stay empty."""
    grid, place, sources = found.grid, found.place, Sources()
    header = ("", *grid.switches, "experiment", "rank-1", "mAP", "95 % interval", "seeds", f"mAP over {grid.base}")
    rows = [_row(row, sources, found.marks) for row in found.rows]
    notes = [MARKED] if any(row.ours and row.ours.estimates for row in found.rows) else []
    notes.append("Rows without an experiment were not run.")
    if any(row.gain for row in found.rows):
        notes.append("± is the standard deviation over seeds, the interval is that of the mean mAP (Student's t).")
        notes.append(f"mAP over {grid.base}: mean difference in points over the seeds that both have, paired by seed.")
    if place.note:
        notes.append(place.note)
    columns = "l" * (len(grid.switches) + 2) + "r" * 7
    table = Table(
        f"{found.title}: {title_of(place)}",
        (*header, "published rank-1", "published mAP"),
        columns,
        [rows],
        notes,
        sources.texts,
    )
    return drop_empty_columns(table)


def _row(row: GridRow, sources: Sources, marks: Mapping[str, str]) -> list[Cell]:
    ours = row.ours or Measured("")
    mAP = ours.estimates.get("mAP")
    measured = [number(ours.estimates.get("rank1")), number(mAP), Cell(interval(mAP))]
    seeds = Cell(ours.seeds if row.ours else "")
    quoted = [_quoted(row.quoted, metric, sources) for metric in ("rank1", "mAP")]
    switches = [Cell(entry) for entry in row.switches]
    name = Cell(row.name, footnotes=sources.numbers(marks.get(ours.experiment)))
    return [name, *switches, Cell(ours.experiment), *measured, seeds, Cell(row.gain), *quoted]


def _quoted(row: Quoted | None, metric: str, sources: Sources) -> Cell:
    if row is None or metric not in row.metrics:
        return Cell()
    return Cell(f"{row.metrics[metric]}", footnotes=sources.numbers(f"{row.method}: {row.sources[metric]}"))


def _gain(results: list[Result], experiment: str | None, base: str | None) -> str:
    named = {result.experiment for result in results}
    if experiment is None or base is None or experiment == base or not {experiment, base} <= named:
        return ""
    (found,) = paired_differences(results, experiment, base, "mAP")
    return f"{100 * found.mean:+.1f}" + ("" if found.std is None else f" ± {100 * found.std:.1f}")
