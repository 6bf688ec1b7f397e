"""A data set on disk, or a generated one -> image table and packed store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from PIL import Image
from pydantic import Field

from pipeline.config import Record, parse
from pipeline.datasets.archives import unpacked
from pipeline.datasets.listing import Listing
from pipeline.datasets.location import RAW, locate
from pipeline.datasets.packing import Packing
from pipeline.datasets.reader import find
from pipeline.datasets.resizing import Resampling, resize
from pipeline.datasets.validation.examination import examine
from pipeline.datasets.validation.report import Report, unlisted
from pipeline.images.table import DataError
from pipeline.locking import exclusive_lock
from pipeline.synthetic_people import world

DRAWS_FILE = "draws.parquet"


class PrepareParams(Record):
    """A data set of params.yaml, resolved.

    ``people`` describes the world to render; null reads a real data set, whose folder is no parameter
    (``pipeline.datasets.location``). ``reader`` names a reader as its ``kind``, beside the reader's own settings.
    ``published_counts`` holds the data set against the published number of images. ``splits``: in how many ways it is
    split; a reader with several is told which, as its setting ``split``. ``height`` and ``width`` are those of the
    packed images, in pixels, to which ``resampling`` brings them.
    """

    reader: dict[str, Any]
    published_counts: bool
    splits: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1, le=4096)]
    width: Annotated[int, Field(ge=1, le=4096)]
    resampling: Resampling
    people: world.PeopleParams | None


def prepare(name: str, params: PrepareParams, folder: Path) -> Iterator[tuple[pd.DataFrame, Report]]:
    """Ensures that ``folder`` holds the packed store of ``name``; yields its table and the report on it.

    With several splits it holds a store for each, ``1`` to their number, and they are yielded one by one; the report
    beside it is then that of the last, or of the one that has errors.

    Raises:
        DataError: with everything that is wrong with the data, in one list.
        ValueError: for an unknown reader, settings that are not the reader's, or while another process does the same.
    """
    with exclusive_lock(folder, "prepared"):
        if params.splits == 1:
            yield pack(name, params, folder, report_of(folder))
            return
        for split in range(1, params.splits + 1):
            yield pack(name, split_of(params, split), folder / str(split), report_of(folder))


def split_of(params: PrepareParams, split: int) -> PrepareParams:
    """Returns the parameters of one split."""
    return params.model_copy(update={"reader": {**params.reader, "split": split}, "splits": 1})


def pack(name: str, params: PrepareParams, folder: Path, report_file: Path) -> tuple[pd.DataFrame, Report]:
    """Ensures that ``folder`` holds the packed store of one split; returns its table and the report on it.

    The store of a data set that is whole, by its published counts, bears the data set's name, at whatever size: results
    are compared by it. Any other bears its own. Galleries that the makers have drawn lie in it as ``draws.parquet``.
    The report is written with errors or without.
    """
    workers = os.cpu_count() or 1
    listing = _listed(name, params, report_file, workers=workers)
    height, width = params.height, params.width
    rows, resampling = len(listing.entries), params.resampling
    with Packing(folder, rows=rows, height=height, width=width, resampling=resampling) as packing:
        table, report = examine(listing, name=name, is_whole=params.published_counts, cache=packing, workers=workers)
        report.write(report_file)
        report.refuse_errors(listing.folder)
        about = {
            "name": listing.name if params.published_counts else name,
            "generated": params.people is not None,
            "protocol": listing.protocol,
            "reader": params.reader["kind"],
            "settings": settings_of(params),
            "notes": report.notes,
        }
        draws = {} if listing.draws is None else {DRAWS_FILE: listing.draws}
        packing.finish(table, about, draws, masks_of(name, params, table))
    return table, report


def masks_of(name: str, params: PrepareParams, table: pd.DataFrame) -> np.ndarray | None:
    """Returns the true masks ``[N, H, W]`` of people rendered as Market-1501 lies, at the size of the images.

    None for all others.
    """
    if params.people is None or params.reader["kind"] != "market1501":
        return None
    found = np.empty((len(table), params.height, params.width), np.uint8)
    for row, path in enumerate(table["path"]):
        with Image.open(RAW / name / world.mask_path(path)) as mask:
            pixels = np.repeat(np.asarray(mask)[:, :, None], 3, axis=2)
        found[row] = resize(pixels, params.height, params.width, params.resampling)[:, :, 0]
    return found


def settings_of(params: PrepareParams) -> dict[str, Any]:
    """Returns the reader's own settings."""
    return {key: value for key, value in params.reader.items() if key != "kind"}


def check(name: str, params: PrepareParams, folder: Path) -> Report:
    """Returns the report on the data set of ``name``, and ensures that it lies beside ``folder``; nothing is packed.

    Raises:
        ValueError: for an unknown reader, or settings that are not the reader's.
    """
    workers = os.cpu_count() or 1
    try:
        listing = _listed(name, params, report_of(folder), workers=workers)
    except DataError as error:
        return _unlisted(name, error)
    _, report = examine(listing, name=name, is_whole=params.published_counts, cache=None, workers=workers)
    report.write(report_of(folder))
    return report


def _listed(name: str, params: PrepareParams, report_file: Path, *, workers: int) -> Listing:
    """Returns what lies in the data set's folder; where that can't be said, the report says why."""
    try:
        return list_images(name, params, workers=workers)
    except DataError as error:
        _unlisted(name, error).write(report_file)
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
    if "kind" not in params.reader:
        raise ValueError(f"data.{name}.reader: missing kind: the name of a reader")
    kind = params.reader["kind"]
    reader = find(kind)
    settings = parse(reader.Settings, settings_of(params), f"data.{name}.reader")
    if params.people is None:
        folder = unpacked(locate(name if reader.TITLE is None else kind))
    else:
        with exclusive_lock(RAW / name, "rendered", waits=True):
            world.render(params.people, RAW / name, workers=workers)
        folder = RAW / name / kind
    return reader.list_images(folder, **settings.model_dump())
