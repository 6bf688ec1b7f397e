"""A data set on disk, or a generated one -> image table and packed store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pandas as pd

from pipeline.config import Record
from pipeline.data import dukemtmc, market1501, store
from pipeline.data.location import RAW, locate
from pipeline.data.people import world

READERS = {"market1501": market1501, "dukemtmc": dukemtmc}


class PrepareParams(Record):
    """A block ``prepare.<name>`` of params.yaml.

    ``people`` describes the world to render; null reads a real data set, whose folder is no parameter
    (``pipeline.data.location``). ``published_counts`` holds it against the published number of images. ``height`` and
    ``width`` are those of the packed images, in pixels.
    """

    reader: Literal["market1501", "dukemtmc"]
    published_counts: bool
    height: int
    width: int
    people: world.PeopleParams | None


def prepare(name: str, params: PrepareParams, folder: Path) -> pd.DataFrame:
    """Ensures that ``folder`` holds the packed store of ``name`` and returns its table.

    The store of a data set that is whole, by its published counts, bears the data set's name, at whatever size: results
    are compared by it. Any other bears its own.

    Raises:
        DataError: with everything that is wrong with the data, in one list.
    """
    workers = os.cpu_count() or 1
    if params.people is None:
        source = locate(params.reader)
    else:
        world.render(params.people, RAW / name, workers=workers)
        source = RAW / name / params.reader
    reader = READERS[params.reader]
    table = reader.read(source, counts=reader.PUBLISHED if params.published_counts else None)
    about = {"name": params.reader if params.published_counts else name, "generated": params.people is not None}
    store.build(table, source, folder, height=params.height, width=params.width, workers=workers, about=about)
    return table
