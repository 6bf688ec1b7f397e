"""The image table: one row per image, checked when made. After it, no data set is special."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.inputs import check_plain

MODALITIES = ("visible", "infrared")
SPLIT_OF_ROLE = {"train": "train", "query": "test", "gallery": "test"}
DISTRACTOR = 0
"""The ``person_id`` of gallery images that show none of the persons: always wrong, always ranked."""
NO_CAMERA = 0
"""The ``camera_id`` of every image of a data set whose cameras nobody knows."""
LARGEST_CAMERA = 65_535
"""Cameras are counted in arrays that reach to the last: a larger number is a date, or another thing that is none."""

COLUMNS = {
    "path": "str",
    "person_id": "int64",
    "camera_id": "int64",
    "modality": "str",
    "split": "str",
    "role": "str",
    "width": "int64",
    "height": "int64",
    "sha256": "str",
}
FORMATS = {
    **{".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP"},
    **{".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"},
}
NAMED = 20
"""How many problems a message names before it only counts the rest."""


class DataError(ValueError):
    """Everything that is wrong with a data set, in one error: ``problems`` has one line for each.

    ``told`` is its message where somebody has put it better than in a list.
    """

    def __init__(self, folder: Path, problems: Sequence[str], told: str = "") -> None:
        super().__init__(folder, problems, told)
        self.problems = list(problems)

    def __str__(self) -> str:
        folder, _, told = self.args
        if told:
            return f"{folder}\n{told}"
        count = f"{len(self.problems)} problem" + "s" * (len(self.problems) > 1)
        rest = len(self.problems) - NAMED
        lines = [*self.problems[:NAMED], *([f"... and {rest:,} more"] if rest > 0 else [])]
        return f"{folder}: {count}\n  " + "\n  ".join(lines)


@dataclass(frozen=True)
class Entry:
    """What a reader knows of an image from its name: ``path`` from the data folder on, cameras count from 1.

    ``camera_id`` is 0 (``NO_CAMERA``) in a data set without cameras.
    """

    path: str
    person_id: int
    camera_id: int
    modality: str
    role: str


@dataclass(frozen=True)
class Counts:
    """The size of a data set by role; distractors count as images, not as an identity."""

    train_images: int
    train_identities: int
    query_images: int
    query_identities: int
    gallery_images: int
    gallery_identities: int


def _wrong_columns(table: pd.DataFrame) -> list[str]:
    """Returns what is wrong with the columns' names and types."""
    have = {name: str(kind) for name, kind in table.dtypes.items()}
    return [
        f"column {name}: expected {kind}, got {have.get(name, 'none')}"
        for name, kind in COLUMNS.items()
        if have.get(name) != kind
    ] + [f"column {name}: unknown" for name in have if name not in COLUMNS]


def count(table: pd.DataFrame) -> Counts:
    """Returns the table's size by role."""
    found: dict[str, int] = {}
    for role in SPLIT_OF_ROLE:
        persons = table.loc[table["role"] == role, "person_id"]
        found[f"{role}_images"] = len(persons)
        found[f"{role}_identities"] = int(persons[persons != DISTRACTOR].nunique())
    return Counts(**found)


def unmatched_queries(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of queries that no gallery image can answer: same identity, another camera or none known."""
    queries, gallery = (table[table["role"] == role] for role in ("query", "gallery"))
    cameras = gallery.groupby("person_id")["camera_id"].agg(set)
    others = [
        bool(cameras.get(person, set()) - ({camera} - {NO_CAMERA}))
        for person, camera in zip(queries["person_id"], queries["camera_id"], strict=True)
    ]
    return queries[~pd.Series(others, index=queries.index, dtype=bool)]


def fingerprint(table: pd.DataFrame) -> str:
    """Returns a digest of the images' contents and use, whatever their order, names and folder."""
    columns = [table[name].astype(str) for name in ("sha256", "person_id", "camera_id", "modality", "role")]
    lines = sorted(" ".join(row) for row in zip(*columns, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def write(table: pd.DataFrame, path: Path) -> None:
    """Ensures that ``path`` holds the table as Parquet."""
    table.to_parquet(path, index=False)


def read(path: Path) -> pd.DataFrame:
    """Returns the table of a Parquet file.

    Raises:
        DataError: when it is no table, or its columns are not those of an image table.
    """
    check_plain(path)
    try:
        table = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise DataError(path, [f"no table, cut short or altered ({error})"]) from None
    if wrong := _wrong_columns(table):
        raise DataError(path, wrong)
    return table
