"""Your own data: a table of images, ``images.csv`` or ``images.parquet``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from pipeline.config import Record
from pipeline.datasets.layouts.folders import check_parts
from pipeline.datasets.layouts.identities import draw_train, own_listing, with_queries
from pipeline.datasets.layouts.lists import is_inside
from pipeline.datasets.listing import Listing
from pipeline.images.table import DISTRACTOR, NO_CAMERA, SPLIT_OF_ROLE, DataError, Entry

FILES = ("images.parquet", "images.csv")
NUMBERS = ("person_id", "camera_id")
REQUIRED = ("path", "person_id")
OPTIONAL = ("camera_id", "modality", "split", "role")

TITLE = None
ADVICE = (
    "Put images.csv or images.parquet there, with the columns path and person_id, or set "
    "REID_DATA_<NAME IN CAPITALS> to the folder that holds it (docs/your_data.md)"
)
CITATIONS: tuple[str, ...] = ()


class Settings(Record):
    """How identities are divided where the table does not: ``train_share`` of them train, drawn by ``seed``."""

    train_share: float
    seed: int


def list_images(folder: Path, *, train_share: float, seed: int) -> Listing:
    """Returns the images of the table, in its order; paths start from the table's folder.

    The columns ``path`` and ``person_id`` (from 1; 0 for distractors) must be there. ``camera_id`` (from 1) may be
    left out when no cameras are known, ``modality`` when all is visible. ``role`` is train, query or gallery; without
    it ``split``, train or test, is enough, and without both the identities are divided.

    Raises:
        DataError: when the table is not there, or a column or value is not what it should be.
        ValueError: when a setting can't be used.
    """
    check_parts(folder, [], ADVICE)
    file = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if file is None:
        raise DataError(folder, [f"expected {' or '.join(FILES)} in it. {ADVICE}"])
    try:
        table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise DataError(file, [f"no table, truncated or damaged ({error})"]) from None
    if not isinstance(table.index, pd.RangeIndex):
        raise DataError(file, ["its rows have more values than its first line has names of columns"])
    if wrong := [*_wrong_columns(table), *_wrong_values(table)]:
        raise DataError(file, wrong)
    roles = table["role"] if "role" in table else _roles(table, train_share, seed)
    columns = [table["path"], table["person_id"], _or(table, "camera_id", NO_CAMERA), _or(table, "modality", "visible")]
    entries = [Entry(*row) for row in zip(*(column.tolist() for column in [*columns, roles]), strict=True)]
    return own_listing(folder, with_queries(entries), [])


def _or(table: pd.DataFrame, name: str, otherwise: int | str) -> pd.Series:
    """Returns a column, or one that has the same value in every row."""
    return table[name] if name in table else pd.Series(otherwise, index=table.index)


def _wrong_columns(table: pd.DataFrame) -> list[str]:
    known = (*REQUIRED, *OPTIONAL)
    if len(table.columns) == 1 and (marks := [mark for mark in ";\t|" if mark in str(table.columns[0])]):
        return [f"its columns are divided by {marks[0]!r}, expected ','"]
    return [f"column {name}: missing" for name in REQUIRED if name not in table] + [
        f"column {name}: unknown (known: {', '.join(known)})" for name in table if name not in known
    ]


def _wrong_values(table: pd.DataFrame) -> Iterator[str]:
    """Yields what is wrong with the values of the columns that are there, naming the first rows of each."""
    for name in table:
        values = table[name]
        if empty := _rows(values.isna()):
            yield f"column {name}: empty in {empty}"
        elif name in NUMBERS and not pd.api.types.is_integer_dtype(values):
            yield f"column {name}: expected whole numbers, got for example {values.iloc[0]!r}"
        elif name not in NUMBERS and not pd.api.types.is_string_dtype(values):
            yield f"column {name}: expected text, got for example {values.iloc[0]!r}"
        elif name == "person_id" and (below := _rows(values < 0)):
            yield f"column person_id: below 0 in {below}; junk has no place in the table"
    if "path" in table:
        paths = table["path"].astype(str)
        outside = ~paths.map(is_inside)
        if rows := _rows(outside):
            first = paths[outside].iloc[0]
            yield f"column path: expected paths from the table's folder on, divided by /, got {first!r} in {rows}"
    if "split" in table and (other := _rows(~table["split"].isin(["train", "test"]))):
        yield f"column split: neither train nor test in {other}"
    if "role" in table and (other := _rows(~table["role"].isin(SPLIT_OF_ROLE))):
        yield f"column role: none of {', '.join(SPLIT_OF_ROLE)} in {other}"
    if {"split", "role"} <= set(table) and (other := _rows(table["role"].map(SPLIT_OF_ROLE) != table["split"])):
        yield f"column role: does not go with split in {other}"


def _rows(wrong: pd.Series) -> str:
    """Returns the rows where ``wrong`` holds, in words, counted from 1 below the header; '' when there are none."""
    rows = [number for number, broken in enumerate(wrong, start=1) if broken]
    return f"row {', '.join(map(str, rows[:5]))}" + f" and {len(rows) - 5:,} more" * (len(rows) > 5) if rows else ""


def _roles(table: pd.DataFrame, train_share: float, seed: int) -> pd.Series:
    """Returns ``train`` or ``test`` for each row: as its split says, or drawn by identity; distractors are tested."""
    if "split" in table:
        return table["split"]
    persons = table["person_id"].astype(str)
    train = draw_train(persons[table["person_id"] != DISTRACTOR], share=train_share, seed=seed)
    return persons.isin(train).map({True: "train", False: "test"})
