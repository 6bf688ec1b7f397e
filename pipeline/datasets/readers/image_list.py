"""Your own data: a table of images, ``images.csv`` or ``images.parquet``."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandas as pd

from pipeline.config import Record
from pipeline.datasets.layouts.folders import check_parts
from pipeline.datasets.layouts.identities import draw_train, own_listing, with_queries
from pipeline.datasets.layouts.lists import is_inside
from pipeline.datasets.listing import Listing
from pipeline.images.table import DISTRACTOR, LARGEST_CAMERA, NO_CAMERA, SPLIT_OF_ROLE, DataError, Entry

FILES = ("images.parquet", "images.csv")
LARGEST = {"person_id": 10**18 - 1, "camera_id": LARGEST_CAMERA}
"""The columns of numbers, and how large they may be."""
REQUIRED = ("path", "person_id")
OPTIONAL = ("camera_id", "modality", "split", "role")

WHOLE = r"\s*-?[0-9]+\s*"
UNNAMED = "Unnamed: "
"""What pandas calls a column whose name is empty, before its number."""

TITLE = None
ADVICE = (
    "Put images.csv or images.parquet there, with the columns path and person_id, or set "
    "REID_DATA_<NAME IN CAPITALS> to the folder that holds it (docs/your_data.md)"
)
CITATIONS: tuple[str, ...] = ()


Zero = Literal["distractor", "person"]


class Settings(Record):
    """How identities are divided where the table does not: ``train_share`` of them train, drawn by ``seed``.

    ``zero`` is what ``person_id`` 0 stands for: ``distractor``, an image of nobody that is looked for, or ``person``,
    the first of persons that are counted from 0.
    """

    train_share: float
    seed: int
    zero: Zero


def list_images(folder: Path, *, train_share: float, seed: int, zero: Zero) -> Listing:
    """Returns the images of the table, in its order; paths start from the table's folder.

    The columns ``path`` and ``person_id`` (from 1; 0 as ``zero`` says) must be there. Where persons count from 0, all
    ids are one higher in the listing. ``camera_id`` (from 1) may be left out when no cameras are known, ``modality``
    when all is visible. ``role`` is train, query or gallery; without it ``split``, train or test, is enough, and
    without both the identities are divided.

    Raises:
        DataError: when the table is not there, or a column or value is not what it should be.
        ValueError: when a setting can't be used.
    """
    check_parts(folder, [], ADVICE)
    file = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if file is None:
        raise DataError(folder, [f"expected {' or '.join(FILES)} in it. {ADVICE}"])
    table = _read(file)
    if wrong := [*_wrong_columns(table), *_wrong_values(table)]:
        raise DataError(file, wrong)
    numbers = {name: table[name].map(int) for name in LARGEST if name in table}
    first = numbers["person_id"] == 0
    table = table.assign(**numbers)
    notes = []
    if zero == "person":
        table["person_id"] += 1
        notes += [f"person_id 0 is a person ({first.sum():,} images): all ids are stored one higher"] * any(first)
    elif first.sum() > 1:
        notes += [
            f"person_id 0 has {first.sum():,} images, which are distractors and show none of the persons; where 0 is a "
            "person, set reader.zero: person"
        ]
    roles = table["role"] if "role" in table else _roles(table, train_share, seed)
    columns = [table["path"], table["person_id"], _or(table, "camera_id", NO_CAMERA), _or(table, "modality", "visible")]
    entries = [Entry(*row) for row in zip(*(column.tolist() for column in [*columns, roles]), strict=True)]
    return own_listing(folder, with_queries(entries), [], notes)


def _read(file: Path) -> pd.DataFrame:
    """Returns the table of a file, everything in a CSV as text, where '' is an empty cell.

    Raises:
        DataError: when it is no table, or one without rows.
    """
    try:
        if file.suffix == ".parquet":
            table = _without_index(pd.read_parquet(file))
        else:
            text = file.read_bytes().decode("utf-8-sig")
            table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except UnicodeDecodeError as error:
        advice = "save it as UTF-8, which spreadsheets call CSV UTF-8"
        raise DataError(file, [f"not in UTF-8, from its byte {error.start} on: {advice}"]) from None
    except (OSError, ValueError) as error:
        raise DataError(file, [f"no table, truncated or damaged ({error})"]) from None
    if not isinstance(table.index, pd.RangeIndex):
        raise DataError(file, ["its rows have more values than its first line has names of columns"])
    if table.empty:
        raise DataError(file, ["it has no rows below the names of its columns: write one for each image"])
    return table.astype(object).where(table.notna(), "")


def _without_index(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table whose index is a column where it has a name, and is left out where it only counts rows."""
    return table.reset_index(drop=table.index.names == [None])


def _or(table: pd.DataFrame, name: str, otherwise: int | str) -> pd.Series:
    """Returns a column, or one that has the same value in every row."""
    return table[name] if name in table else pd.Series(otherwise, index=table.index)


def _wrong_columns(table: pd.DataFrame) -> list[str]:
    known, names = (*REQUIRED, *OPTIONAL), [str(name) for name in table.columns]
    if len(names) == 1 and (marks := [mark for mark in ";\t|" if mark in names[0]]):
        return [f"its columns are divided by {marks[0]!r}, expected ','"]
    wrong = [f"column {name}: missing" for name in REQUIRED if name not in names]
    for place, name in enumerate(names, start=1):
        if name.startswith(UNNAMED):
            wrong.append(f"column {place} has no name: remove it; pandas leaves it out by index=False")
        elif name not in known:
            wrong.append(f"column {name}: unknown (known: {', '.join(known)})")
    return wrong


def _wrong_values(table: pd.DataFrame) -> Iterator[str]:
    """Yields what is wrong with the values of the columns that are there, naming the first rows of each."""
    is_blank = (table.astype(str).apply(lambda values: values.str.strip()) == "").all(axis=1)
    if blank := _rows(is_blank):
        yield f"nothing in {blank}: remove what is blank"
    for name in table:
        values = table[name].astype(str)
        is_empty = (values == "") & ~is_blank
        is_odd = ~is_empty & ~is_blank & ~values.str.fullmatch(WHOLE)
        if empty := _rows(is_empty):
            yield f"column {name}: empty in {empty}"
        if name in LARGEST and (odd := _rows(is_odd)):
            yield f"column {name}: expected whole numbers, got {values[is_odd].iloc[0]!r} in {odd}"
        elif name in LARGEST:
            yield from _out_of_range(name, values[~is_empty & ~is_blank])
        elif not pd.api.types.is_string_dtype(table[name]):
            yield f"column {name}: expected text, got for example {table[name].iloc[0]!r}"
    table = table[~is_blank]
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


def _out_of_range(name: str, whole: pd.Series) -> Iterator[str]:
    """Yields what is wrong with whole numbers, which are text, for they may be of any length."""
    large = whole.str.len() > len(str(LARGEST[name])) + 1
    numbers = whole.mask(large, "0").map(int)
    large |= numbers > LARGEST[name]
    if rows := _rows(large):
        yield f"column {name}: expected {LARGEST[name]:,} or less, got {whole[large].iloc[0]} in {rows}"
    if name == "person_id" and (below := _rows(numbers < 0)):
        yield f"column person_id: below 0 in {below}; junk has no place in the table"


def _rows(wrong: pd.Series) -> str:
    """Returns the rows where ``wrong`` holds, in words, counted from 1 below the header; '' when there are none."""
    rows = [int(number) + 1 for number in wrong.index[wrong]]
    return f"row {', '.join(map(str, rows[:5]))}" + f" and {len(rows) - 5:,} more" * (len(rows) > 5) if rows else ""


def _roles(table: pd.DataFrame, train_share: float, seed: int) -> pd.Series:
    """Returns ``train`` or ``test`` for each row: as its split says, or drawn by identity; distractors are tested."""
    if "split" in table:
        return table["split"]
    persons = table["person_id"].astype(str)
    train = draw_train(persons[table["person_id"] != DISTRACTOR], share=train_share, seed=seed)
    return persons.isin(train).map({True: "train", False: "test"})
