"""A data set on disk, or a generated one -> image table and packed store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.config import Record, parse
from pipeline.data import readers, store
from pipeline.data.listing import Listing, tabulate
from pipeline.data.location import RAW, locate
from pipeline.data.people import world

DRAWS_FILE = "draws.parquet"


class PrepareParams(Record):
    """A block ``prepare.<name>`` of params.yaml.

    ``people`` describes the world to render; null reads a real data set, whose folder is no parameter
    (``pipeline.data.location``). ``settings`` is the reader's own block. ``published_counts`` holds the data set
    against the published number of images. ``height`` and ``width`` are those of the packed images, in pixels.
    """

    reader: str
    settings: dict[str, Any]
    published_counts: bool
    height: int
    width: int
    people: world.PeopleParams | None


def prepare(name: str, params: PrepareParams, folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """Ensures that ``folder`` holds the packed store of ``name``; returns its table and the notes on it.

    The store of a data set that is whole, by its published counts, bears the data set's name, at whatever size: results
    are compared by it. Any other bears its own. Galleries that the makers have drawn lie in it as ``draws.parquet``.

    Raises:
        DataError: with everything that is wrong with the data, in one list.
        ValueError: for an unknown reader, or settings that are not the reader's.
    """
    workers = os.cpu_count() or 1
    listing = list_images(name, params, workers=workers)
    table, notes = tabulate(listing, is_whole=params.published_counts)
    about = {
        "name": listing.name if params.published_counts else name,
        "generated": params.people is not None,
        "protocol": listing.protocol,
        "reader": params.reader,
        "settings": params.settings,
        "notes": notes,
    }
    store.build(table, listing.folder, folder, height=params.height, width=params.width, workers=workers, about=about)
    if listing.draws is not None:
        listing.draws.to_parquet(folder / DRAWS_FILE, index=False)
    return table, notes


def list_images(name: str, params: PrepareParams, *, workers: int) -> Listing:
    """Returns what lies in the data set's folder, rendered before where it is a generated one.

    Raises:
        DataError: when the folder, or a part without which nothing can be listed, is not there.
        ValueError: for an unknown reader, or settings that are not the reader's.
    """
    reader = readers.find(params.reader)
    settings = parse(reader.Settings, params.settings, f"prepare.{name}.settings")
    if params.people is None:
        folder = locate(name if params.reader in readers.OWN else params.reader)
    else:
        world.render(params.people, RAW / name, workers=workers)
        folder = RAW / name / params.reader
    return reader.list_images(folder, **settings.model_dump())
