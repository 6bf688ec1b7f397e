"""Where a data set lies: outside the tracked parameters, so that moving it retrains nothing."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "REID_DATA"
RAW = Path("data/raw")
UNPACKED = Path("data/unpacked")
"""Where images go that lie in a file from which nothing else can read them."""


def locate(name: str) -> Path:
    """Returns the folder of a data set, there or not.

    It is ``$REID_DATA_<NAME>``, else ``$REID_DATA/<name>``, else ``data/raw/<name>``.

    ``name`` is the reader's module name, such as ``market1501``, or that of a block with somebody's own data; in the
    variable it is in capitals.
    """
    if own := os.environ.get(f"{VARIABLE}_{name.upper()}"):
        return Path(own)
    if shared := os.environ.get(VARIABLE):
        return Path(shared) / name
    return RAW / name


def advice(name: str, title: str, source: str) -> str:
    """Returns what to do about a data set that is not there: what to ask for, from whom, and where to put it.

    ``title`` is its name in the papers, ``source`` one or two sentences on who gives it.
    """
    return (
        f"{title} is never downloaded. {source} "
        f"Then put it into {RAW / name}, or set {VARIABLE}_{name.upper()} to its folder, "
        f"or {VARIABLE} to the folder that holds {name}/"
    )
