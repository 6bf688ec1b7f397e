"""Folders whose files say in their names what they show."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.images.table import DataError
from pipeline.inputs import printable

LITTER = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),  # Windows
    *("__macosx", "icon\r"),  # macOS
    *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot"),  # network disks
    "lost+found",
}
"""What systems leave behind in folders, in small letters, beside hidden files."""

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
    return any(part.lower() in LITTER or part.startswith(".") for part in path.split("/"))


def files(folder: Path) -> list[str]:
    """Returns the names of what is in a folder, sorted, without litter; none when it is not there."""
    return sorted(path.name for path in folder.iterdir() if not is_litter(path.name)) if folder.is_dir() else []


def files_below(folder: Path) -> tuple[list[str], list[str]]:
    """Returns the paths of all files below a folder, sorted, and a line for each thing there that can't be followed.

    Links are followed as if what they lead to were there. Litter is passed over.
    """
    found: list[str] = []
    problems: list[str] = []

    def refuse(error: OSError) -> None:
        problems.append(f"{Path(error.filename).relative_to(folder).as_posix()}: can't be opened ({error.strerror})")

    for place, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        inside = {name: Path(place, name) for name in sorted({*folders, *names}) if not is_litter(name)}
        wrong = {name: why for name, path in inside.items() if (why := _why_not_followed(path, folder))}
        problems += [f"{printable(inside[name].relative_to(folder))}: {why}" for name, why in wrong.items()]
        folders[:] = [name for name in folders if name in inside and name not in wrong]
        found += [inside[name].relative_to(folder).as_posix() for name in names if name in inside and name not in wrong]
    return sorted(found), problems


def _why_not_followed(path: Path, top: Path) -> str:
    """Returns why nothing can be read at a path below ``top``; '' where it can."""
    if path.is_symlink() and not path.exists():
        return f"a link to {path.readlink()}, where nothing is: mend or remove it"
    if path.is_symlink() and path.is_dir() and _leads_back(path, top):
        return f"a link to {path.readlink()}, a folder that it lies in: remove it"
    if not (path.is_file() or path.is_dir()):
        return "neither a file nor a folder: remove it"
    if printable(path) != str(path):
        return "a name that is not in UTF-8: give it another"
    return ""


def _leads_back(link: Path, top: Path) -> bool:
    target = link.resolve()
    above = [link.parent, *link.parent.parents]
    ways = above[: above.index(top) + 1]
    return any(way.resolve() == target for way in ways) or top.resolve().is_relative_to(target)
