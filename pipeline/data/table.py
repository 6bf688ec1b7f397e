"""The image table: one row per image. Checked when made; after it, no data set is special."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

MODALITIES = ("visible", "infrared")
SPLIT_OF_ROLE = {"train": "train", "query": "test", "gallery": "test"}
DISTRACTOR = 0
"""The ``person_id`` of gallery images that show none of the persons: always wrong, always ranked."""

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


def write(table: pd.DataFrame, path: Path) -> None:
    """Ensures that ``path`` holds the table as Parquet."""
    table.to_parquet(path, index=False)


def read(path: Path) -> pd.DataFrame:
    """Returns the table of a Parquet file."""
    return pd.read_parquet(path)


def fingerprint(table: pd.DataFrame) -> str:
    """Returns a digest of the images' contents and use, whatever their order, names and folder."""
    columns = [table[name].astype(str) for name in ("sha256", "person_id", "camera_id", "modality", "role")]
    lines = sorted(" ".join(row) for row in zip(*columns, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def counts(table: pd.DataFrame) -> dict[str, int]:
    """Returns images and identities by role."""
    found: dict[str, int] = {}
    for role in SPLIT_OF_ROLE:
        persons = table.loc[table["role"] == role, "person_id"]
        found[f"{role}_images"] = len(persons)
        found[f"{role}_identities"] = int(persons[persons != DISTRACTOR].nunique())
    return found
