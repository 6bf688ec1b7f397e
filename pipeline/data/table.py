"""The image table: one row per image, checked when made. After it, no data set is special."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from pipeline.data.progress import in_threads

MODALITIES = ("visible", "infrared")
SPLIT_OF_ROLE = {"train": "train", "query": "test", "gallery": "test"}
DISTRACTOR = 0
"""The ``person_id`` of gallery images that show none of the persons: always wrong, always ranked."""
NO_CAMERA = 0
"""The ``camera_id`` of every image of a data set whose cameras nobody knows."""

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
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP"}
NAMED = 20
"""How many problems or images a message names before it only counts the rest."""


class DataError(ValueError):
    """Everything that is wrong with a data set, in one error: ``problems`` has one line for each."""

    def __init__(self, folder: Path, problems: Sequence[str]) -> None:
        super().__init__(folder, problems)
        self.problems = list(problems)

    def __str__(self) -> str:
        count = f"{len(self.problems)} problem" + "s" * (len(self.problems) > 1)
        return f"{self.args[0]}: {count}\n  " + "\n  ".join(_some(self.problems))


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


def build(
    folder: Path,
    entries: Sequence[Entry],
    *,
    num_cameras: int,
    counts: Counts | None,
    hearsay: Sequence[str] = (),
    problems: Sequence[str],
) -> pd.DataFrame:
    """Returns the checked table of ``entries`` in their order; every file of it has been decoded.

    ``problems`` are those that the reader has met already. ``counts`` is what the data set must amount to, or
    None; those named in ``hearsay`` are let differ. ``num_cameras`` is 0 where no cameras are known.

    Raises:
        DataError: naming every file and the rule it breaks, ``problems`` among them.
    """
    inspected = in_threads(
        lambda entry: _inspect(folder / entry.path),
        entries,
        workers=os.cpu_count() or 1,
        what="reading images",
    )
    rows, found = [], list(problems)
    for entry, (file, problem) in zip(entries, inspected, strict=True):
        found += [f"{entry.path}: {problem}"] * bool(problem)
        rows.append(asdict(entry) | {"split": SPLIT_OF_ROLE[entry.role]} | file)
    if not rows:
        raise DataError(folder, [*found, "no images"])
    table = pd.DataFrame(rows)[list(COLUMNS)]
    found += faults(table, num_cameras=num_cameras)
    if counts is not None:
        found += [line for name, line in differences(count(table), counts).items() if name not in hearsay]
    if found:
        raise DataError(folder, found)
    return table


def _inspect(path: Path) -> tuple[dict[str, int | str], str]:
    """Returns width, height and digest of an image file, and what is wrong with it ('' when nothing is)."""
    nothing: dict[str, int | str] = {"width": 0, "height": 0, "sha256": ""}
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except FileNotFoundError:
        return nothing, "no such file"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return nothing, f"not a readable image, truncated or damaged ({error})"
    expected = FORMATS.get(path.suffix.lower())
    problem = "" if image.format == expected else f"named {path.suffix} but holds a {image.format} image"
    width, height = image.size
    return {"width": width, "height": height, "sha256": hashlib.sha256(content).hexdigest()}, problem


def faults(table: pd.DataFrame, *, num_cameras: int) -> list[str]:
    """Returns the rules that the table breaks, one line per image or identity; none for a table to be trusted."""
    if wrong := _wrong_columns(table):
        return wrong
    splits = table["role"].map(SPLIT_OF_ROLE)
    first = min(1, num_cameras)
    rules = {
        "listed twice": table["path"].duplicated(),
        "person_id below 0": table["person_id"] < 0,
        "person_id 0 is for distractors, which belong in the gallery": (table["person_id"] == DISTRACTOR)
        & (table["role"] != "gallery"),
        f"camera_id outside {first}..{num_cameras}": ~table["camera_id"].between(first, num_cameras),
        f"modality is none of {', '.join(MODALITIES)}": ~table["modality"].isin(MODALITIES),
        f"role is none of {', '.join(SPLIT_OF_ROLE)}": splits.isna(),
        "split does not go with its role": splits.notna() & (splits != table["split"]),
    }
    found = [
        f"{row.path}: {rule} (person_id {row.person_id}, camera_id {row.camera_id})"
        for rule, broken in rules.items()
        for row in table[broken].itertuples()
    ]
    return found + _shared_identities(table)


def _wrong_columns(table: pd.DataFrame) -> list[str]:
    """Returns what is wrong with the columns' names and types."""
    have = {name: str(kind) for name, kind in table.dtypes.items()}
    return [
        f"column {name}: expected {kind}, got {have.get(name, 'none')}"
        for name, kind in COLUMNS.items()
        if have.get(name) != kind
    ] + [f"column {name}: unknown" for name in have if name not in COLUMNS]


def _shared_identities(table: pd.DataFrame) -> list[str]:
    """Returns one line for each identity that is in both train and test."""
    first = table.drop_duplicates(["person_id", "split"]).pivot(index="person_id", columns="split", values="path")
    if not {"train", "test"} <= set(first.columns):
        return []
    shared = first.dropna(subset=["train", "test"])
    return [
        f"person_id {person} is in both train and test: {paths.train}, {paths.test}"
        for person, paths in zip(shared.index, shared.itertuples(), strict=True)
    ]


def count(table: pd.DataFrame) -> Counts:
    """Returns the table's size by role."""
    found: dict[str, int] = {}
    for role in SPLIT_OF_ROLE:
        persons = table.loc[table["role"] == role, "person_id"]
        found[f"{role}_images"] = len(persons)
        found[f"{role}_identities"] = int(persons[persons != DISTRACTOR].nunique())
    return Counts(**found)


def differences(found: Counts, published: Counts) -> dict[str, str]:
    """Returns a line for each count that is not the published one, by its name."""
    have = asdict(found)
    return {
        name: f"{name.replace('_', ' ')}: {number:,} published, {have[name]:,} here"
        for name, number in asdict(published).items()
        if have[name] != number
    }


def unmatched_queries(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of queries that no gallery image can answer: same identity, another camera or none known."""
    queries, gallery = (table[table["role"] == role] for role in ("query", "gallery"))
    cameras = gallery.groupby("person_id")["camera_id"].agg(set)
    others = [
        bool(cameras.get(person, set()) - ({camera} - {NO_CAMERA}))
        for person, camera in zip(queries["person_id"], queries["camera_id"], strict=True)
    ]
    return queries[[not other for other in others]]


def summary(table: pd.DataFrame) -> str:
    """Returns the table in a few lines for people: its size, and the queries that can't be answered by name."""
    lines = []
    for role, images in table.groupby("role", sort=False):
        persons, cameras, infrared = images["person_id"], images["camera_id"], images["modality"] == "infrared"
        lines.append(
            f"{role}: {len(images):,} images, {persons[persons != DISTRACTOR].nunique():,} identities, "
            f"{cameras[cameras != NO_CAMERA].nunique()} cameras, {(persons == DISTRACTOR).sum():,} distractors"
            + f", {infrared.sum():,} in infrared"
            * bool(infrared.any())
        )
    if len(lost := unmatched_queries(table)):
        lines.append(f"{len(lost):,} queries have no image of the same identity by another camera in the gallery:")
        lines += [f"  {line}" for line in _some(lost["path"].tolist())]
    return "\n".join(lines)


def _some(lines: Sequence[str]) -> list[str]:
    rest = len(lines) - NAMED
    return [*lines[:NAMED], *([f"... and {rest:,} more"] if rest > 0 else [])]


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
        DataError: when its columns are not those of an image table.
    """
    table = pd.read_parquet(path)
    if wrong := _wrong_columns(table):
        raise DataError(path, wrong)
    return table
