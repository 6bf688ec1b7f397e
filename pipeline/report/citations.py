"""Whom to cite for a method and for a data set, by their own words, and for the backbone that all networks share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.datasets import reader
from pipeline.methods import words

SHARED_FILE = Path(__file__).with_name("citations.bib")
"""What every network here is built of."""


def of_method(method: str) -> dict[str, str]:
    """Returns what to cite for a method, BibTeX entries by their keys; nothing for a method that is not known."""
    found = words.about(method)
    return {} if found is None else by_key([*found.citations, *entries(SHARED_FILE.read_text())])


def of_data(data: str, *, is_generated: bool) -> dict[str, str]:
    """Returns what to cite for a data set or a version of it; nothing for generated or own images."""
    known = [] if is_generated else [name for name in reader.names() if data.startswith(name)]
    return by_key(reader.find(max(known, key=len)).CITATIONS) if known else {}


def by_key(given: Iterable[str]) -> dict[str, str]:
    """Returns BibTeX entries by their keys."""
    return {entry[entry.index("{") + 1 : entry.index(",")]: entry for entry in given}


def entries(text: str) -> list[str]:
    """Returns the entries of a BibTeX file."""
    return [entry.strip() for entry in re.split(r"^(?=@)", text, flags=re.MULTILINE) if entry.strip()]
