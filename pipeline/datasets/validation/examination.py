"""A listing -> its image table and all that is wrong with it, in one pass over the files."""

from __future__ import annotations

import os
from typing import Protocol

import numpy as np
import pandas as pd

from pipeline.datasets.listing import Listing
from pipeline.datasets.threads import in_threads
from pipeline.datasets.validation import rules
from pipeline.datasets.validation.findings import Finding
from pipeline.datasets.validation.inspection import (
    UPRIGHT,
    Facts,
    UnusableError,
    decode,
    digest,
    mislabelled,
    orientation,
    paged,
    turned,
)
from pipeline.datasets.validation.report import Report, describe
from pipeline.images.table import COLUMNS, SPLIT_OF_ROLE, fingerprint
from pipeline.inputs import printable, read_bytes


class ImageCache(Protocol):
    """Who takes the images as they are decoded, and knows those that it has: ``pipeline.datasets.packing``."""

    def lookup(self, row: int, sha256: str) -> Facts | None:
        """Returns the facts of the image of a row, if it is kept already and its file has this digest."""

    def store(self, row: int, facts: Facts, pixels: np.ndarray) -> None:
        """Takes the pixels of a row, uint8 ``[H, W, 3]``; called by several threads."""


def examine(
    listing: Listing, *, name: str, is_whole: bool, cache: ImageCache | None, workers: int
) -> tuple[pd.DataFrame, Report]:
    """Returns the image table of a listing in its order, and the report on it, whatever was found.

    Every file is read once, by ``workers`` threads: digest, header and pixels come of the same bytes. ``cache`` gets
    the images; what it has already is not decoded again. ``is_whole`` holds the data set against its published counts.
    A table with errors is not to be used.

    Raises:
        ValueError: when it is to be whole and nobody has published its counts.
    """
    if is_whole and listing.published is None:
        raise ValueError(f"published_counts: nobody has published counts of {listing.name}; set it to false")
    looked = in_threads(
        lambda row: _look(listing, row, cache),
        range(len(listing.entries)),
        workers=workers,
        what="checking images" if cache is None else "packing images",
    )
    found = [Finding("reader", problem) for problem in listing.problems]
    found += [Finding("note", note) for note in listing.notes]
    found += [finding for _, findings in looked for finding in findings]
    table = _table(listing, [facts for facts, _ in looked])
    pixels = pd.Series([facts.pixels if facts else "" for facts, _ in looked], dtype="str")
    found += _check_table(listing, table, pixels, is_whole=is_whole)
    mark = "" if any(finding.is_error for finding in found) else fingerprint(table)
    return table, describe(name, listing.name, table, mark, found, published=listing.published if is_whole else None)


def _check_table(listing: Listing, table: pd.DataFrame, pixels: pd.Series, *, is_whole: bool) -> list[Finding]:
    """Returns what is wrong with the rows together; only where all counts are right is a copy the makers' own."""
    if table.empty:
        return [Finding("nothing", "no images")]
    counted = []
    if is_whole and listing.published is not None:
        counted = rules.check_counts(table, listing.published, tuple(listing.unverified_counts))
    as_published = is_whole and not any(finding.is_error for finding in counted)
    return [
        *rules.check_rows(table, num_cameras=listing.num_cameras),
        *rules.check_copies(table, pixels, as_published=as_published),
        *rules.check_sizes(table),
        *counted,
        *rules.check_queries(table),
    ]


def _look(listing: Listing, row: int, cache: ImageCache | None) -> tuple[Facts | None, list[Finding]]:
    """Returns the facts of an image file, None when it gives no pixels, and what is wrong with it."""
    path, is_upright = listing.entries[row].path, listing.turns_upright
    if path != printable(path):
        return None, [Finding("name", f"{printable(path)}: a name that is not in UTF-8")]
    try:
        content = read_bytes(listing.folder / path)
    except FileNotFoundError:
        return None, [Finding("missing", f"{path}: no such file")]
    except ValueError as error:
        return None, [Finding("unreadable", str(error).removeprefix(f"{printable(listing.folder)}/"))]
    except OSError as error:
        return None, [Finding("unreadable", f"{path}: can't be read ({error.strerror})")]
    turn = orientation(content) if is_upright else UPRIGHT
    facts = cache.lookup(row, digest(content, turn)) if cache else None
    if facts is None:
        try:
            facts, pixels = decode(content, path, turn)
        except UnusableError as error:
            return None, [error.finding]
        if cache:
            cache.store(row, facts, pixels)
    said = turned(path, content, is_upright=is_upright)
    return facts, [*mislabelled(path, facts), *paged(path, content, facts), *said]


def _table(listing: Listing, facts: list[Facts | None]) -> pd.DataFrame:
    """Returns a row for each entry; an image that gave no pixels has the size 0 and no digest."""
    sizes = [(known.width, known.height, known.sha256) if known else (0, 0, "") for known in facts]
    rows = [
        (printable(one.path), one.person_id, one.camera_id, one.modality, SPLIT_OF_ROLE[one.role], one.role, *size)
        for one, size in zip(listing.entries, sizes, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def tabulate(listing: Listing, *, is_whole: bool) -> tuple[pd.DataFrame, list[str]]:
    """Returns the checked image table of a listing, in its order, and the notes on it.

    Raises:
        DataError: with all that is wrong, in one list.
        ValueError: when it is to be whole and nobody has published its counts.
    """
    workers = os.cpu_count() or 1
    table, report = examine(listing, name=listing.name, is_whole=is_whole, cache=None, workers=workers)
    report.refuse_errors(listing.folder)
    return table, report.notes
