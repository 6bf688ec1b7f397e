"""Tiny data sets by which every reader is tried: ``SETS`` of ``tests/datasets/readers/test_NAME.py``."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import parse
from pipeline.datasets import reader
from pipeline.datasets.listing import Listing


@dataclass(frozen=True)
class Set:
    """A reader, its settings, a tiny data set for it, what must be there and what comes of it.

    ``make`` writes the data set below a folder and returns its own; ``parts`` are what nothing can be listed without;
    ``counts`` are images to train on, queries, and images of the gallery. A conversion ``is_conversion``: it bears the
    name of what it was converted from.
    """

    reader: str
    make: Callable[[Path], Path]
    settings: dict[str, Any]
    parts: tuple[str, ...]
    counts: tuple[int, int, int]
    protocol: str = "market"
    is_conversion: bool = False

    def list_images(self, folder: Path) -> Listing:
        module = reader.find(self.reader)
        return module.list_images(folder, **parse(module.Settings, self.settings, "settings").model_dump())


def find_sets() -> dict[str, Set]:
    """Returns the tiny data sets of all readers by their names; a reader without any is found by test_reader.py."""
    found: dict[str, Set] = {}
    for name in reader.names():
        if (Path(__file__).parent / "readers" / f"test_{name}.py").is_file():
            found |= getattr(importlib.import_module(f"tests.datasets.readers.test_{name}"), "SETS", {})
    return found
