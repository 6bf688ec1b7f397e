"""A data set on disk, or a generated one -> image table and packed store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.config import Record, parse
from pipeline.datasets.archives import unpacked
from pipeline.datasets.listing import Listing
from pipeline.datasets.location import RAW, locate
from pipeline.datasets.packing import Packing
from pipeline.datasets.reader import find
from pipeline.datasets.validation.examination import examine
from pipeline.datasets.validation.report import Report, unlisted
from pipeline.images.table import DataError
from pipeline.locking import alone
from pipeline.synthetic_people import world

DRAWS_FILE = "draws.parquet"


class PrepareParams(Record):
    """A block ``prepare.<name>`` of params.yaml.

    ``people`` describes the world to render; null reads a real data set, whose folder is no parameter
    (``pipeline.datasets.location``). ``settings`` is the reader's own block. ``published_counts`` holds the data set
    against the published number of images. ``height`` and ``width`` are those of the packed images, in pixels.
    """

    reader: str
    settings: dict[str, Any]
    published_counts: bool
    height: int
    width: int
    people: world.PeopleParams | None


def prepare(name: str, params: PrepareParams, folder: Path) -> tuple[pd.DataFrame, Report]:
    """Ensures that ``folder`` holds the packed store of ``name``; returns its table and the report on it.

    The store of a data set that is whole, by its published counts, bears the data set's name, at whatever size: results
    are compared by it. Any other bears its own. Galleries that the makers have drawn lie in it as ``draws.parquet``.
    The report lies beside the folder, with errors or without (``report_of``).

    Raises:
        DataError: with everything that is wrong with the data, in one list.
        ValueError: for an unknown reader, settings that are not the reader's, or while another process does the same.
    """
    workers = os.cpu_count() or 1
    with alone(folder, "prepared"):
        listing = _listed(name, params, folder, workers=workers)
        height, width = params.height, params.width
        with Packing(folder, rows=len(listing.entries), height=height, width=width) as packing:
            table, report = examine(
                listing, name=name, is_whole=params.published_counts, keeper=packing, workers=workers
            )
            report.write(report_of(folder))
            report.refuse_errors(listing.folder)
            about = {
                "name": listing.name if params.published_counts else name,
                "generated": params.people is not None,
                "protocol": listing.protocol,
                "reader": params.reader,
                "settings": params.settings,
                "notes": report.notes,
            }
            packing.finish(table, about, {} if listing.draws is None else {DRAWS_FILE: listing.draws})
    return table, report


def check(name: str, params: PrepareParams, folder: Path) -> Report:
    """Returns the report on the data set of ``name``, and ensures that it lies beside ``folder``; nothing is packed.

    Raises:
        ValueError: for an unknown reader, or settings that are not the reader's.
    """
    workers = os.cpu_count() or 1
    try:
        listing = _listed(name, params, folder, workers=workers)
    except DataError as error:
        return _unlisted(name, error)
    _, report = examine(listing, name=name, is_whole=params.published_counts, keeper=None, workers=workers)
    report.write(report_of(folder))
    return report


def _listed(name: str, params: PrepareParams, folder: Path, *, workers: int) -> Listing:
    """Returns what lies in the data set's folder; where that can't be said, the report says why."""
    try:
        return list_images(name, params, workers=workers)
    except DataError as error:
        _unlisted(name, error).write(report_of(folder))
        raise


def _unlisted(name: str, error: DataError) -> Report:
    return unlisted(name, [f"{error.args[0]}: {problem}" for problem in error.problems])


def report_of(folder: Path) -> Path:
    """Returns the file of the report on a prepared folder: beside it, since a word in it retrains nothing."""
    return folder.with_name(f"{folder.name}.report.json")


def list_images(name: str, params: PrepareParams, *, workers: int) -> Listing:
    """Returns what lies in the data set's folder, unpacked or rendered before where it has to be.

    Raises:
        DataError: when the folder, or a part without which nothing can be listed, is not there.
        ValueError: for an unknown reader, or settings that are not the reader's.
    """
    reader = find(params.reader)
    settings = parse(reader.Settings, params.settings, f"prepare.{name}.settings")
    if params.people is None:
        folder = unpacked(locate(name if reader.TITLE is None else params.reader))
    else:
        world.render(params.people, RAW / name, workers=workers)
        folder = RAW / name / params.reader
    return reader.list_images(folder, **settings.model_dump())
