"""All tables of a paper: Markdown and LaTeX for readers, and every number once more as a row of a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pipeline.evaluation.metrics import NAMES
from pipeline.evaluation.stamp import Result
from pipeline.tables.ablation import Filled, fill, grid_table
from pipeline.tables.comparison import Compared, Measured, compare, comparison_table, seeds_table
from pipeline.tables.overview import in_words
from pipeline.tables.papers import Paper, Papers, Place
from pipeline.tables.published import Published, Quoted
from pipeline.tables.render import Table, to_latex, to_markdown

COLUMNS = (
    "table",
    "data",
    "protocol",
    "generated",
    "row",
    "origin",
    "training",
    "venue",
    "experiment",
    "metric",
    "value",
    "std",
    "low",
    "high",
    "seeds",
    "source",
    "note",
    "published",
    "verdict",
    "difference",
    "covered",
    "recipe",
)
"""Numbers in percent; ``low`` and ``high`` bound the 95 % interval of a mean over seeds."""


def write_papers(papers: Papers, results: Iterable[Result], published: list[Published], folder: Path) -> None:
    """Ensures that ``folder`` holds NAME.md, NAME.tex and NAME.csv for each paper."""
    folder.mkdir(parents=True, exist_ok=True)
    every = list(results)
    for name, paper in papers.papers.items():
        compared, filled = _numbers(paper, every, published)
        comparisons, ablations = _comparisons(compared, papers.tolerance), [grid_table(grid) for grid in filled]
        notes = "".join(f"{note}  \n" for note in paper.notes)
        parts = [
            f"# {paper.title}",
            notes,
            "## Comparison",
            to_markdown(comparisons),
            "## Ablation",
            to_markdown(ablations),
        ]
        (folder / f"{name}.md").write_text("\n\n".join(part.rstrip("\n") for part in parts) + "\n")
        (folder / f"{name}.tex").write_text(to_latex([*comparisons, *ablations]))
        rows = [row for found in compared for row in _compared_rows(found, papers.tolerance)]
        _write_csv([*rows, *(row for found in filled for row in _filled_rows(found))], folder / f"{name}.csv")


def tables_of(paper: Paper, results: Iterable[Result], published: list[Published], tolerance: float) -> list[Table]:
    """Returns the tables of one paper: its comparisons, what our seeds say about each, its ablations."""
    compared, filled = _numbers(paper, list(results), published)
    return [*_comparisons(compared, tolerance), *map(grid_table, filled)]


def _numbers(paper: Paper, results: list[Result], published: list[Published]) -> tuple[list[Compared], list[Filled]]:
    compared = [compare(table, results, published) for table in paper.comparisons]
    return compared, [fill(grid, place, results, published) for grid in paper.grids for place in grid.places]


def _comparisons(compared: list[Compared], tolerance: float) -> list[Table]:
    tables = [table for found in compared for table in (comparison_table(found), seeds_table(found, tolerance))]
    return [table for table in tables if table is not None]


def _compared_rows(found: Compared, tolerance: float) -> Iterator[dict[str, object]]:
    for quoted in found.quoted:
        yield from _quoted_rows("comparison", found.place, quoted.method, quoted)
    for name, row in found.ours.items():
        yield from _measured_rows("comparison", found.place, name, row, tolerance)


def _filled_rows(found: Filled) -> Iterator[dict[str, object]]:
    for row in found.rows:
        if row.ours:
            yield from _measured_rows(found.title, found.place, row.name, row.ours, tolerance=0.0)
        if row.quoted:
            yield from _quoted_rows(found.title, found.place, row.name, row.quoted)


def _quoted_rows(table: str, place: Place, name: str, row: Quoted) -> Iterator[dict[str, object]]:
    known = {"origin": "published", "training": row.supervision, "venue": row.venue, "note": "; ".join(row.notes)}
    for metric, value in row.metrics.items():
        numbers = {"metric": metric, "value": value, "source": row.sources[metric]}
        yield {**_at(table, place, name), **known, **numbers}


def _measured_rows(table: str, place: Place, name: str, row: Measured, tolerance: float) -> Iterator[dict[str, object]]:
    ours = {**_at(table, place, name), "origin": "ours", "experiment": row.experiment, "seeds": row.seeds}
    if not row.estimates or row.recipe is None:
        yield ours
        return
    for metric in NAMES:
        found, verdict = row.estimates[metric], row.verdict(metric, tolerance)
        judged: Mapping[str, object] = {}
        if verdict is not None and row.quoted is not None:
            covered = {None: "no interval", True: "yes", False: "no"}[verdict.is_covered]
            judged = {"verdict": verdict.word, "difference": verdict.difference, "covered": covered}
            judged = {**judged, "published": row.quoted.metrics[metric]}
        numbers = {"metric": metric, "value": found.mean, "std": found.std, "low": found.low, "high": found.high}
        yield {**ours, **numbers, **judged, "training": row.recipe.supervision, "recipe": in_words(row.recipe)}


def _at(table: str, place: Place, row: str) -> dict[str, object]:
    generated = "yes" if place.is_generated else "no"
    return {"table": table, "data": place.data, "protocol": place.protocol, "generated": generated, "row": row}


def _write_csv(rows: Iterable[Mapping[str, object]], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
