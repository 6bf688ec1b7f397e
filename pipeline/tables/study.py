"""What a study says: the verdicts on the papers' claims, and what was measured before it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.experiments import declaration, experiments, named, trials
from pipeline.results import RESULTS, found, found_of
from pipeline.tables.budgets import budgets_table, curves, draw_budgets, read_budgets
from pipeline.tables.claims import judge_all, plan_seeds, read_claims
from pipeline.tables.claims_table import claims_table, draw_claims, hypotheses_table, pilot_table, write_csv
from pipeline.tables.render import Cell, Table, replace_blocks, to_latex, to_markdown
from pipeline.tables.seed_scores import SeedScores

CLAIMS, LENGTHS, PILOT, HYPOTHESES, FOUND = "claims", "lengths", "pilot", "hypotheses", "searches"
SEARCHES = RESULTS / "searches"
BLOCKS, DRAWN = (CLAIMS, LENGTHS, PILOT, HYPOTHESES, FOUND, "differences"), (CLAIMS, LENGTHS)
"""The Markdown files that pages have marks for, and those with a figure of their name."""


def fill_page(page: Path, folder: Path, more: Mapping[str, str]) -> None:
    """Replaces those blocks that a page has marks for by the files of a folder and by ``more``.

    A figure that the page shows is copied to beside it, or to its folder ``docs``.
    """
    files = {name: folder / f"{name}.md" for name in BLOCKS}
    blocks = {**more, **{name: file.read_text() for name, file in files.items() if file.is_file()}}
    text = page.read_text()
    page.write_text(replace_blocks(text, blocks))
    for name in DRAWN:
        shown = next((path for path in (f"docs/{name}.png", f"{name}.png") if f"({path})" in text), None)
        if shown and (folder / f"{name}.png").is_file():
            shutil.copyfile(folder / f"{name}.png", page.parent / shown)


def write_claims(tree: Mapping[str, Any], folder: Path) -> None:
    """Writes what the study says about the papers' claims."""
    claims = read_claims()
    planned = {row: len(list(trials(tree, row))) for row in claims.rows if row in experiments(tree)}
    findings = judge_all(claims, SeedScores.read(found(tree)[0]), planned)
    table = claims_table(findings)
    (folder / f"{CLAIMS}.md").write_text(to_markdown([table]))
    (folder / f"{CLAIMS}.tex").write_text(to_latex([table]))
    write_csv(findings, folder / f"{CLAIMS}.csv")
    draw_claims(findings, folder / f"{CLAIMS}.png")


def write_protocol(tree: Mapping[str, Any], folder: Path) -> None:
    """Writes what is to be decided, and what was measured before, on other people: lengths and the spread of seeds."""
    budgets, claims = read_budgets(), read_claims()
    lengths = list(curves(budgets, lambda row: found_of(tree, row)))
    (folder / f"{LENGTHS}.md").write_text(to_markdown([budgets_table(lengths, budgets.times)]))
    draw_budgets(lengths, budgets.times, folder / f"{LENGTHS}.png")
    rows = pilot_rows(tree)
    places = [place for row in rows.values() for place in found_of(tree, row)]
    plans = plan_seeds(claims, SeedScores.read(places, rows))
    (folder / f"{PILOT}.md").write_text(to_markdown([pilot_table(plans, claims.seeds)]))
    (folder / f"{FOUND}.md").write_text(to_markdown([searches_table()]))
    (folder / f"{HYPOTHESES}.md").write_text(to_markdown([hypotheses_table(claims.claims)]))


def searches_table() -> Table:
    """Returns what the searches of the protocol have found, as ``results/searches`` keeps them."""
    rows = []
    for folder in sorted(file.parent for file in SEARCHES.glob("*/search.json")):
        said = json.loads((folder / "search.json").read_text())
        with (folder / "trials.csv").open(newline="") as file:
            best = next(row for row in csv.DictReader(file) if int(row["trial"]) == said["best_trial"])
        values = [f"{name.split('.', 1)[1]} {float(value):.2g}" for name, value in best.items() if "." in name]
        scores = [f"{100 * said[name]:.1f}" for name in ("start", "best")]
        rows.append([Cell(text) for text in (folder.name, *scores, str(said["trials"]), ", ".join(values))])
    header = ("search", "val_mAP before", "best", "trials", "values of the best")
    return Table(
        "What the searches have found", header, "lrrrl", [rows], ["val_mAP in percent, on the held-out people."]
    )


def pilot_rows(tree: Mapping[str, Any]) -> dict[str, str]:
    """Returns for each row that some claim needs the one that stands for it in the pilot."""
    claims, rows = read_claims(), {}
    for row in (row for row in claims.rows if row in experiments(tree)):
        declared = declaration(tree, row)
        if others := claims.pilot.data.get(declared["data"]):
            recipes = "+".join([*named(declared, "recipe"), claims.pilot.recipe])
            rows[row] = f"{recipes}@{others}"
    return rows
