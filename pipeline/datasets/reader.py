"""The readers by the names that params.yaml gives them; importing this imports none of them.

A module of ``pipeline.datasets.readers`` is a reader, and its name is the module's.
"""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from pipeline.config import Record
from pipeline.datasets.listing import Listing

PACKAGE = "pipeline.datasets.readers"


class Lister(Protocol):
    """``list_images``: takes the data folder and, by name, what stands in the reader's settings."""

    def __call__(self, folder: Path, **settings: object) -> Listing:
        """Returns what is in the folder."""


class Reader(Protocol):
    """A module that knows how one data set lies on disk, and all that is to be said of it in words.

    Attributes:
        TITLE: its name in the papers. None for somebody's own data, of which there may be any number: each block of
            params.yaml that has some then has a place of its own.
        ADVICE: what to do where it is not there: whom to ask, by what terms, and where to put it.
        CITATIONS: what to cite, as BibTeX entries.
        Settings: the reader's block of params.yaml.
        list_images: lists a data folder by these settings.
    """

    TITLE: str | None
    ADVICE: str
    CITATIONS: tuple[str, ...]
    Settings: type[Record]
    list_images: Lister


def names() -> list[str]:
    """Returns the names of all readers, in the order of the alphabet."""
    return sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).with_name("readers"))]))


def path_of(name: str) -> str:
    """Returns the path of a reader's module, as it is imported.

    Raises:
        ValueError: for an unknown name, with the nearest ones, or with all where none is near.
    """
    known = names()
    if name not in known:
        near = get_close_matches(name, known) or known
        raise ValueError(f"reader: expected {' or '.join(near)}, got {name!r}: no such module in {PACKAGE}")
    return f"{PACKAGE}.{name}"


def find(name: str) -> Reader:
    """Returns the module of a reader.

    Raises:
        ValueError: as ``path_of``.
    """
    reader: Reader = importlib.import_module(path_of(name))
    return reader
