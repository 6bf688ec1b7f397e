"""The overview: everything that was measured, by data set and protocol, with published numbers where they may stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from statistics import fmean, stdev

from pipeline.evaluation.metrics import HEADINGS, MAIN, NAMES
from pipeline.evaluation.stamp import Protocol, Recipe, Result
from pipeline.tables.published import Published, Quoted, published_beside
from pipeline.tables.render import Cell, Sources, Table
from pipeline.tables.results import REFERENCES

HEADER = ("experiment", *(HEADINGS[name] for name in NAMES), "seeds", "recipe")
GENERATED = "generated data: not comparable to published numbers"
MARKED = "Percentages; the best and the second best of a column are marked."


def build_tables(results: Iterable[Result], published: list[Published]) -> list[Table]:
    """Returns one table per data set and protocol, generated data after real data.

    Results on other images of one data set, as on its splits, stand in tables of their own that say so.
    """

    def place(result: Result) -> tuple[bool, str, str]:
        return (result.protocol.is_generated, result.protocol.data, result.protocol.label)

    tables = []
    for _, rows in groupby(sorted(results, key=place), key=place):
        by_digest: dict[str, list[Result]] = {}
        for row in rows:
            by_digest.setdefault(row.protocol.digest, []).append(row)
        apart = _differing([group[0].protocol for group in by_digest.values()])
        tables += [_table(group, published, apart) for group in by_digest.values()]
    return tables


def in_words(recipe: Recipe) -> str:
    """Returns what a reader must know of a recipe, in a few words."""
    parts = [f"{recipe.height}x{recipe.width}", recipe.feature, recipe.distance, "flip" if recipe.flip else ""]
    if recipe.supervision != "none":
        epoch = "epoch not known " if recipe.epoch is None else "epoch "
        parts += [recipe.supervision, f"from {recipe.start_weights}", f"{epoch}{recipe.epochs}"]
    return ", ".join(part for part in parts if part)


def training_marks(results: Iterable[Result]) -> dict[str, str]:
    """Returns what each experiment was trained in, as a footnote, where that is known of them and not the same.

    Another number format, or another kind of device, moves a number by itself.
    """
    found: dict[str, set[str]] = {}
    for result in results:
        if (recipe := result.recipe).precision and recipe.supervision != "none":
            found.setdefault(result.experiment, set()).add(f"{recipe.precision} on {recipe.device}")
    if len(set().union(*found.values())) < 2:
        return {}
    return {name: f"Trained in {' and '.join(sorted(kinds))}, others not." for name, kinds in found.items()}


def _differing(protocols: list[Protocol]) -> list[str]:
    """Returns the names of the fields in which the protocols are not all the same."""
    first, *others = map(asdict, protocols)
    return [name for name in first if any(other[name] != first[name] for other in others)]


def _table(results: list[Result], published: list[Published], apart: list[str]) -> Table:
    protocol = results[0].protocol
    by_experiment: dict[str, list[Result]] = {}
    for result in results:
        by_experiment.setdefault(result.experiment, []).append(result)
    ours: list[list[list[Cell]]] = [[], []]
    sources, marks = Sources(), training_marks(results)
    for experiment, rows in by_experiment.items():
        ours[experiment not in REFERENCES].append(_line(rows, sources.numbers(marks.get(experiment))))
    title = f"{protocol.data}, protocol {protocol.label} [{protocol.digest}]"
    notes = [MARKED]
    if apart:
        notes.append(f"Not to be compared with the other tables of this name: they differ in {', '.join(apart)}.")
    if any(cell.tail for group in ours for row in group for cell in row):
        notes.append("± is the standard deviation over seeds, or over draws where there is one seed.")
    theirs: list[Quoted] = []
    if protocol.is_generated:
        title += f" ({GENERATED})"
    else:
        supervision = sorted({result.recipe.supervision for result in results})
        theirs = published_beside(published, data=protocol.data, protocol=protocol.label, supervision=supervision)
    notes += [f"{row.method}: {note}." for row in theirs for note in row.notes]
    if theirs:
        notes.append("Published numbers are as printed; sources stand in pipeline/tables/published_results.csv.")
    groups = [*ours, [_published_line(row) for row in theirs]]
    columns = f"l{'r' * (len(NAMES) + 1)}l"
    return Table(title, HEADER, columns, [group for group in groups if group], notes, sources.texts)


def _line(results: list[Result], footnotes: tuple[int, ...]) -> list[Cell]:
    """Returns the mean over the seeds of one experiment; its spread is over seeds, or over trials."""
    spread = results[0].metrics.get(f"{MAIN}_std")
    if len(results) > 1:
        spread = stdev(result.metrics[MAIN] for result in results)
    tails = {} if spread is None else {MAIN: f" ± {100 * spread:.1f}"}
    values = {name: 100 * fmean(result.metrics[name] for result in results) for name in NAMES}
    numbers = [Cell(f"{values[name]:.1f}", tails.get(name, ""), is_ranked=True) for name in NAMES]
    name = Cell(results[0].experiment, footnotes=footnotes)
    return [name, *numbers, Cell(str(len(results))), Cell(in_words(results[0].recipe))]


def _published_line(row: Quoted) -> list[Cell]:
    numbers = [Cell(f"{row.metrics[name]:.1f}", is_ranked=True) if name in row.metrics else Cell() for name in NAMES]
    return [Cell(row.method), *numbers, Cell(), Cell(f"published, {row.venue}" if row.venue else "published")]
