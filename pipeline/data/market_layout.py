"""Folders in the layout of Market-1501: three of them, identity and camera in every file's name."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from pipeline.data.table import Counts, DataError, Entry, build

ROLE_OF_FOLDER = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
NAME = re.compile(r"(-1|\d{4,})_c(\d+)\w*(\.jpg)+")
JUNK = -1
"""The id of gallery boxes that show a part of someone: neither right nor wrong, so never ranked."""

LITTER = {"Thumbs.db", "desktop.ini", ".DS_Store"}


def read(folder: Path, *, num_cameras: int, counts: Counts | None, has_junk: bool, advice: str) -> pd.DataFrame:
    """Returns the image table of a folder in this layout: train, query, gallery, each sorted by file name.

    Junk boxes are dropped (where ``has_junk``), id 0 stays in the gallery as distractor. ``counts`` are the
    published sizes to hold it against, or None. ``advice`` says how to get the data when it is not there.

    Raises:
        DataError: with all that is wrong: the folder, names, files, identities, counts.
    """
    _check_folder(folder, advice)
    entries, problems = [], []
    for name, role in ROLE_OF_FOLDER.items():
        for path in sorted((folder / name).iterdir()):
            if path.name in LITTER:
                continue
            match = NAME.fullmatch(path.name)
            if match is None:
                problems.append(
                    f"{name}/{path.name}: not named as <identity, 4 digits>_c<camera>...jpg; "
                    "restore its name from the archive, or remove what is no image of the data set"
                )
                continue
            person, camera = int(match[1]), int(match[2])
            if not (has_junk and person == JUNK and role == "gallery"):
                entries.append(Entry(f"{name}/{path.name}", person, camera, "visible", role))
    return build(folder, entries, num_cameras=num_cameras, counts=counts, problems=problems)


def _check_folder(folder: Path, advice: str) -> None:
    """Ensures that the three folders are there.

    Raises:
        DataError: saying which folder to give instead, if one is near, else how to get the data.
    """
    if not folder.is_dir():
        raise DataError(folder, [f"no such folder. {advice}"])
    missing = [name for name in ROLE_OF_FOLDER if not (folder / name).is_dir()]
    if not missing:
        return
    lacks = f"expected the folders {', '.join(ROLE_OF_FOLDER)} in it, {', '.join(missing)} not there"
    near = [folder.parent, *sorted(path for path in folder.iterdir() if path.is_dir())]
    right = [path for path in near if all((path / name).is_dir() for name in ROLE_OF_FOLDER)]
    raise DataError(folder, [f"{lacks}; {right[0]} has them: give that" if right else f"{lacks}. {advice}"])
