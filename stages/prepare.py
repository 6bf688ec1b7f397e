"""Packs the images of a data set, and says what is wrong with it.

reads    data/raw/READER, or the folder that $REID_DATA names (docs/data.md); generated people are rendered there
writes   data/prepared/DATA (image table, packed images) and data/prepared/DATA.report.json
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from stages.arguments import PREPARED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the name of the data set."""
    parser.add_argument("data", help="a data set of params.yaml")
    parser.add_argument("--sheet", type=Path, help="of generated people: also draw a contact sheet, into this file")


def run(given: argparse.Namespace) -> None:
    """Prepares every split of a data set, and says what is in it and what was found."""
    from pipeline.config import load, parse
    from pipeline.datasets.prepare import PrepareParams, prepare
    from pipeline.experiments import resolve_data
    from pipeline.images.table import count
    from pipeline.tracking.runs import stage_run

    name = given.data
    params = parse(PrepareParams, resolve_data(load(), name), f"data.{name}")
    if given.sheet and params.people is None:
        raise ValueError(f"--sheet is for generated people, and {name} is of real ones")
    with stage_run(stage="prepare", name=name, params=params.model_dump()) as tracked:
        for table, report in prepare(name, params, PREPARED / name):
            print(report)
            tracked.log_metrics(asdict(count(table)))
    if given.sheet:
        from pipeline.datasets.location import RAW
        from pipeline.synthetic_people.sheet import contact_sheet

        contact_sheet(RAW / name, given.sheet)
