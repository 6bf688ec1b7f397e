"""What a reader finds in a data folder before any image is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from pipeline.images.table import Counts, Entry

Protocol = Literal["market", "no_cameras", "sysu_mm01", "regdb", "llcm"]
"""By which rules queries are answered (``pipeline.evaluation.protocols``); it goes into the store's meta.json."""


@dataclass(frozen=True)
class Listing:
    """The images of a data set as its folders, names and lists tell them.

    Where persons are looked for across modalities, the infrared test images are the queries and the visible ones the
    gallery; protocols that search the other way swap them.

    Attributes:
        name: what published numbers call the data set and its variant, as ``msmt17`` and ``msmt17_v2``.
        folder: what the entries' paths start from.
        num_cameras: cameras count from 1 to this; 0 where none is known, and then every ``camera_id`` is 0.
        protocol: by which rules its queries are answered.
        published: the counts of the whole data set; None where nobody has published any.
        unverified_counts: the counts among them that only the literature has: a difference is a note, not a problem.
        turns_upright: whether photos are turned as their EXIF orientation asks. The makers' own never are: everybody
            takes those as they lie.
        problems: what is wrong, one line each.
        notes: what somebody should know, though nothing is wrong.
        draws: galleries that the makers have drawn, with the columns trial, path and place (all from 1): a gallery of
            n images per identity and camera has the paths whose place is at most n. None where there are none.
    """

    name: str
    folder: Path
    entries: Sequence[Entry]
    num_cameras: int
    protocol: Protocol = "market"
    published: Counts | None = None
    unverified_counts: Sequence[str] = ()
    turns_upright: bool = False
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()
    draws: pd.DataFrame | None = field(default=None, compare=False)
