"""Makes one page of everything that was made.

reads    artifacts/evaluate, artifacts/train, artifacts/tables, data/prepared
writes   artifacts/report/index.html, which needs no network
"""

from __future__ import annotations

import argparse
from pathlib import Path

SCORES, TRAININGS, PREPARED = Path("artifacts/evaluate"), Path("artifacts/train"), Path("data/prepared")
PAGE = Path("artifacts/report/index.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the page is of."""
    parser.add_argument("names", nargs="*", help="experiments and references that have been evaluated (default: all)")


def run(given: argparse.Namespace) -> None:
    """Writes the page and says where it is."""
    from pipeline.report.artifacts import read_artifacts
    from pipeline.report.page import render
    from pipeline.tracking import usage
    from pipeline.tracking.runs import stage_run, usage_folder

    with stage_run(stage="report", name="", params={}) as tracked:
        made = read_artifacts(SCORES, TRAININGS, PREPARED, given.names)
        page = render(made, usage.read(usage_folder()))
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page)
        tracked.log_artifact(PAGE)
    print(f"report: {PAGE.absolute().as_uri()}")
