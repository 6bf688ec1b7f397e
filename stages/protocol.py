"""Shows what is laid down before a study (docs/protocol.md).

reads    results/
writes   artifacts/protocol: hypotheses, what searches have found, scores by the length of training, a pilot's spread

--run first trains and scores what is missing of the lengths, or of the pilot, into results/.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

OUT = Path("artifacts/protocol")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what else to do than to show it."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--run", choices=("lengths", "pilot"), help="train and score what is missing of it")
    what.add_argument("--page", type=Path, help="put it into the blocks of this page")


def run(given: argparse.Namespace) -> None:
    """Writes and prints the tables, or measures first."""
    from pipeline.config import load
    from pipeline.tables.budgets import read_budgets
    from pipeline.tables.study import fill_page, pilot_rows, write_protocol
    from stages.study import study

    tree = load()
    if given.run:
        rows = {"lengths": read_budgets().rows, "pilot": list(pilot_rows(tree).values())}[given.run]
        study(tree, rows, plan=False)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    write_protocol(tree, OUT)
    if given.page:
        fill_page(given.page, OUT, {})
    else:
        print("\n".join(file.read_text() for file in sorted(OUT.glob("*.md"))))
