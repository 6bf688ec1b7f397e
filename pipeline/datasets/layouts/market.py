"""Folders in the layout of Market-1501: three of them, identity and camera in every file's name."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.datasets.layouts.folders import JUNK, MARKET, check_parts, matches
from pipeline.images.table import Entry

NAME = re.compile(r"(-1|\d{4,})_c(\d+)\w*(\.jpg)+")
EXPECTED = "<identity, 4 digits>_c<camera>...jpg"


def list_market(folder: Path, *, has_junk: bool, advice: str) -> tuple[list[Entry], list[str]]:
    """Returns the images of a folder in this layout and what is wrong: train, query, gallery, each by file name.

    Junk boxes are dropped (where ``has_junk``), id 0 stays in the gallery as distractor. ``advice`` says how to get
    the data when it is not there.

    Raises:
        DataError: when one of the three folders is not there.
    """
    check_parts(folder, list(MARKET), advice)
    entries: list[Entry] = []
    problems: list[str] = []
    for path, role, match in matches(folder, MARKET, NAME, EXPECTED, problems):
        person, camera = int(match[1]), int(match[2])
        if not (has_junk and person == JUNK and role == "gallery"):
            entries.append(Entry(path, person, camera, "visible", role))
    return entries, problems
