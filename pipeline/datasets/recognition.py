"""What a folder of images tells of persons and cameras by how it lies there. What it does not tell is not guessed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from pipeline.datasets.layouts.folders import JUNK, files_below
from pipeline.datasets.readers.image_list import FILES
from pipeline.images.table import FORMATS, LARGEST_CAMERA, DataError

Kind = Literal["persons", "cameras", "names", "table"]
KINDS: tuple[Kind, ...] = get_args(Kind)
WHAT: Mapping[Kind, str] = {
    "persons": "a folder for each person",
    "cameras": "a folder for each camera, and in it one for each person",
    "names": "names that tell person and camera, as Market-1501 has them",
    "table": "a table of images",
}

ROLES = {
    **{"train": "train", "bounding_box_train": "train"},
    **{"test": "test", "query": "query", "gallery": "gallery", "bounding_box_test": "gallery"},
}
"""What folders are called that divide images, and what they are for."""
NAME = re.compile(r"(-1|\d+)[_-]c(?:am)?(\d+)(?=s\d|[^0-9a-z])", re.IGNORECASE)
CAMERA_FOLDER = re.compile(r"(?:c|cam|camera|kamera|view|ch|channel)[ _-]?\d+", re.IGNORECASE)
CAMERA_IN_PATH = (r"_c(\d+)", r"(?i)cam(?:era)?[ _-]?(\d+)", r"^(\d+)/", r"(?i)(?<![a-z])c(\d+)")
"""Where the path of an image below a person's folder may tell the camera; the first that all images have."""


@dataclass(frozen=True)
class Seen:
    """An image: ``path`` from the folder on, the ``person`` and the ``camera`` ('' for none) as they are called there.

    ``role`` is that of a folder around it, '' where none says one.
    """

    path: str
    person: str
    camera: str
    role: str


@dataclass(frozen=True)
class Understood:
    """What a folder is taken for.

    Attributes:
        kind: how it tells persons and cameras.
        seen: its images; none of a table, which its reader reads.
        camera: the regular expression that tells the cameras of a folder for each person, None where nothing does.
        others: files that are no images by their endings.
    """

    kind: Kind
    seen: Sequence[Seen]
    camera: str | None
    others: Sequence[str]

    @property
    def is_plain(self) -> bool:
        """Whether a reader reads the folder as it lies; else a table has to say what was understood."""
        if self.kind == "table":
            return True
        cameras = {one.camera for one in self.seen}
        return self.kind == "persons" and not any(one.role for one in self.seen) and "0" not in cameras


Pairs = list[tuple[str, str]] | None
"""Person and camera of each path, or None where the paths do not tell them in this way."""


def understand(folder: Path, kind: Kind | None = None) -> Understood:
    """Returns what a folder holds; ``kind`` says how to take it, where it could be taken in several ways.

    Raises:
        DataError: where it is no folder, has no images, or does not tell who is on them; with what was seen instead.
    """
    if not folder.is_dir():
        raise DataError(folder, ["no such folder: give the one that holds the images"])
    if kind in (None, "table") and any((folder / name).is_file() for name in FILES):
        return Understood("table", [], None, [])
    paths, problems = files_below(folder)
    if problems:
        raise DataError(folder, problems)
    images = [path for path in paths if Path(path).suffix.lower() in FORMATS]
    others = [path for path in paths if Path(path).suffix.lower() not in FORMATS]
    if not images:
        endings = sorted({Path(path).suffix for path in paths})
        raise DataError(folder, [f"no images: expected {', '.join(FORMATS)}, got {', '.join(endings) or 'no files'}"])
    roles, inner = _without_roles(images)
    kinds = _kinds(inner) if kind is None else [kind]
    pairs = WAYS[kinds[0]](inner) if len(kinds) == 1 and kinds[0] in WAYS else None
    if pairs is None:
        raise DataError(folder, [_doubt(inner, kinds, kind)])
    seen = [Seen(path, *pair, role) for path, pair, role in zip(images, pairs, roles, strict=True)]
    if kinds[0] != "persons":
        return Understood(kinds[0], seen, None, others)
    camera = find_camera({path: person for path, (person, _) in zip(inner, pairs, strict=True)})
    if camera:
        seen = [replace(one, camera=str(int(_told(camera, path)))) for one, path in zip(seen, inner, strict=True)]
    return Understood(kinds[0], seen, camera, others)


def find_camera(person_of: Mapping[str, str]) -> str | None:
    """Returns the regular expression that tells each image's camera in its path below the person's folder, or None.

    It has to tell one of all, several in all, and of somebody two or more.
    """
    for pattern in CAMERA_IN_PATH:
        told = [(person, _told(pattern, path)) for path, person in person_of.items()]
        if all(number and int(number) <= LARGEST_CAMERA for _, number in told):
            cameras, of_person = {number for _, number in told}, defaultdict(set)
            for person, number in told:
                of_person[person].add(number)
            if 1 < len(cameras) <= len(told) // 2 and any(len(several) > 1 for several in of_person.values()):
                return pattern
    return None


def as_table(understood: Understood, below: str) -> pd.DataFrame:
    """Returns a table of the images, as ``pipeline.datasets.readers.image_list`` reads it.

    ``below`` is the folder of the images from the table on. Persons have the numbers in their names where names tell
    them, else they are counted from 1. Junk, which Market-1501's way of naming calls -1, is left out.
    """
    is_named = understood.kind == "names"
    seen = [one for one in understood.seen if not is_named or int(one.person) != JUNK]
    order = sorted({one.person for one in seen})
    persons = {name: int(name) if is_named else number for number, name in enumerate(order, start=1)}
    cameras = number_cameras({one.camera for one in seen})
    columns: dict[str, list[str] | list[int]] = {
        "path": [f"{below}/{one.path}" for one in seen],
        "person_id": [persons[one.person] for one in seen],
    }
    if cameras:
        columns["camera_id"] = [cameras[one.camera] for one in seen]
    if roles := {one.role for one in seen} - {""}:
        columns["split" if roles <= {"train", "test"} else "role"] = [one.role for one in seen]
    return pd.DataFrame(columns)


def number_cameras(names: set[str]) -> dict[str, int]:
    """Returns a number from 1 for each camera: that at the end of its name where all have another, else its place."""
    if names == {""}:
        return {}
    order = sorted(names)
    numbers = [int(match[0]) for name in order if (match := re.search(r"\d+$", name))]
    if len(set(numbers)) == len(order) and max(numbers) < LARGEST_CAMERA:
        return {name: number + (min(numbers) == 0) for name, number in zip(order, numbers, strict=True)}
    return {name: place for place, name in enumerate(order, start=1)}


def _told(pattern: str, path: str) -> str:
    """Returns the number that a pattern finds below the first folder of a path, '' for none."""
    match = re.search(pattern, path.partition("/")[2])
    return match[1] if match else ""


def _without_roles(images: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the role that each image's first folder says and the path below it; '' and the path where not all do."""
    firsts = [path.partition("/")[0].lower() for path in images]
    roles = [ROLES.get(first, "") for first in firsts]
    allowed = ({"train", "test"}, {"train", "query", "gallery"})
    if not all(roles) or not any(set(roles) <= one for one in allowed) or len(set(roles)) < 2:
        return [""] * len(images), list(images)
    return roles, [path.partition("/")[2] for path in images]


def _kinds(paths: Sequence[str]) -> list[Kind]:
    """Returns what the paths can be taken for: one kind where they leave no doubt."""
    named = _by_names(paths)
    if named is not None and not _are_persons(paths, named):
        return ["names"]
    if not all(map(_folders, paths)):
        return []
    firsts = {_folders(path)[0] for path in paths}
    if all(map(CAMERA_FOLDER.fullmatch, firsts)):
        return ["cameras"] if _by_cameras(paths) else []
    if len(firsts) < 2 or any(first.lower() in ROLES for first in firsts):
        return []
    return ["persons", "cameras"] if _repeats_below(paths) else ["persons"]


def _by_persons(paths: Sequence[str]) -> Pairs:
    return [(_folders(path)[0], "") for path in paths] if all(map(_folders, paths)) else None


def _by_cameras(paths: Sequence[str]) -> Pairs:
    if not all(len(_folders(path)) > 1 for path in paths):
        return None
    return [(_folders(path)[1], _folders(path)[0]) for path in paths]


def _by_names(paths: Sequence[str]) -> Pairs:
    matches = [NAME.match(path.rpartition("/")[2]) for path in paths]
    return [(match[1], str(int(match[2]))) for match in matches if match] if all(matches) else None


WAYS: dict[Kind, Callable[[Sequence[str]], Pairs]] = {
    "persons": _by_persons,
    "cameras": _by_cameras,
    "names": _by_names,
}


def _are_persons(paths: Sequence[str], named: Sequence[tuple[str, str]]) -> bool:
    """Returns whether each first folder holds the images of one person, and no other does, by the images' names."""
    both = {((_folders(path) or [""])[0], person) for path, (person, _) in zip(paths, named, strict=True)}
    firsts, persons = ({pair[side] for pair in both} for side in (0, 1))
    return "" not in firsts and len(both) == len(firsts) == len(persons) > 1


def _repeats_below(paths: Sequence[str]) -> bool:
    """Returns whether most second folders lie below several first ones, which are fewer: as persons below cameras."""
    above: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        above[path.split("/")[1]].add(path.split("/")[0])
    firsts = set().union(*above.values())
    repeated = [second for second, several in above.items() if len(several) > 1]
    is_deep = all(len(_folders(path)) > 1 for path in paths)
    return is_deep and len(firsts) < len(above) < 2 * len(repeated)


def _folders(path: str) -> list[str]:
    return path.split("/")[:-1]


def _doubt(paths: Sequence[str], kinds: Sequence[Kind], kind: Kind | None) -> str:
    """Returns why a folder can't be taken for one kind, and what to do."""
    shown = ", ".join(paths[:: max(len(paths) // 3, 1)][:3])
    if kind:
        return f"is not {WHAT[kind]} (its images: {shown}): say another kind by --as, or leave it out"
    if kinds:
        each = ", or ".join(f"--as {one}: {WHAT[one]}" for one in kinds)
        return f"could be taken in {len(kinds)} ways (its images: {shown}); say which. {each}"
    return (
        f"nothing tells who is on its {len(paths):,} images ({shown}): put those of each person into a folder, or "
        "write a table, images.csv, with the columns path and person_id (docs/your_data.md). Where the first folders "
        "are the persons all the same, say --as persons"
    )
