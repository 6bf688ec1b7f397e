"""The data sets by the names that params.yaml gives them; importing this imports none of them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol

from pipeline.config import Record
from pipeline.datasets.listing import Listing

READERS = {
    "market1501": "pipeline.datasets.market1501",
    "dukemtmc": "pipeline.datasets.dukemtmc",
    "msmt17": "pipeline.datasets.msmt17",
    "cuhk03": "pipeline.datasets.cuhk03",
    "synergyreid": "pipeline.datasets.synergyreid",
    "sysu_mm01": "pipeline.datasets.sysu_mm01",
    "regdb": "pipeline.datasets.regdb",
    "llcm": "pipeline.datasets.llcm",
    "folder": "pipeline.datasets.folder",
    "image_list": "pipeline.datasets.image_list",
}
OWN = ("folder", "image_list")
"""Readers of somebody's own data, of which there may be any number: each block has a place of its own."""


class Lister(Protocol):
    """``list_images``: takes the data folder and, by name, what stands in the reader's settings."""

    def __call__(self, folder: Path, **settings: object) -> Listing:
        """Returns what is in the folder."""


class Reader(Protocol):
    """A module that knows how one data set lies on disk."""

    Settings: type[Record]
    list_images: Lister


def find(name: str) -> Reader:
    """Returns the module of a reader.

    Raises:
        ValueError: naming the readers there are.
    """
    if name not in READERS:
        raise ValueError(f"reader: expected one of {', '.join(READERS)}, got {name!r}")
    reader: Reader = importlib.import_module(READERS[name])
    return reader
