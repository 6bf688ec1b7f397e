"""Folders whose files say in their names what they show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.images.table import DataError

LITTER = {"Thumbs.db", "desktop.ini", "__MACOSX"}
"""What systems leave behind in folders, beside hidden files."""

MARKET = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
"""The role of each folder in the layout of Market-1501."""

JUNK = -1
"""The id of gallery boxes that show a part of someone: neither right nor wrong, so never ranked."""


def check_parts(folder: Path, parts: Sequence[str], advice: str) -> None:
    """Ensures that the folders and files named in ``parts`` are in ``folder``.

    Raises:
        DataError: saying which folder to give instead, if one is near, else ``advice``: how to get the data.
    """
    if not folder.is_dir():
        raise DataError(folder, [f"no such folder. {advice}"])
    missing = [part for part in parts if not (folder / part).exists()]
    if not missing:
        return
    lacks = f"expected {', '.join(parts)} in it, {', '.join(missing)} not there"
    near = [folder.parent, *sorted(path for path in folder.iterdir() if path.is_dir())]
    right = [path for path in near if all((path / part).exists() for part in parts)]
    raise DataError(folder, [f"{lacks}; {right[0]} has them: give that" if right else f"{lacks}. {advice}"])


def matches(
    folder: Path, roles: Mapping[str, str], name: re.Pattern[str], expected: str, problems: list[str]
) -> Iterator[tuple[str, str, re.Match[str]]]:
    """Yields path, role and match of every file in the folders of ``roles``, each sorted by file name.

    A file that is not named as ``name`` adds a line to ``problems``, which says what was ``expected``.
    """
    for part, role in roles.items():
        for file in files(folder / part):
            path = f"{part}/{file}"
            if match := name.fullmatch(file):
                yield path, role, match
            else:
                problems.append(
                    f"{path}: not named as {expected}; "
                    "restore its name from the archive, or remove what is no image of the data set"
                )


def is_litter(path: str) -> bool:
    """Returns whether a path is, or lies in, what systems leave behind: it is passed over."""
    return any(part in LITTER or part.startswith(".") for part in path.split("/"))


def files(folder: Path) -> list[str]:
    """Returns the names of what is in a folder, sorted, without litter; none when it is not there."""
    return sorted(path.name for path in folder.iterdir() if not is_litter(path.name)) if folder.is_dir() else []
