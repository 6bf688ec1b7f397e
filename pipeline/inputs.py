"""Files that people hand over: only plain ones are read, since a pipe or a device keeps a command waiting for ever."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

MOST_BYTES = 256 * 2**20
"""More than any image, list or description has that is read as a whole."""
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def check_plain(path: Path) -> None:
    """Ensures that a path is a file with content of its own, or a link to one.

    Raises:
        FileNotFoundError: when nothing is there.
        ValueError: when it is something else, saying what.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{printable(path)}: no such file") from None
    if not stat.S_ISREG(mode):
        raise ValueError(f"{printable(path)} is {KINDS.get(stat.S_IFMT(mode), 'no file')}, expected a plain file")


def read_bytes(path: Path) -> bytes:
    """Returns the content of a file that fits into memory.

    Raises:
        As ``check_plain``, and ValueError for a file that is too large.
    """
    check_plain(path)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{printable(path)} has {size:,} bytes, expected {MOST_BYTES:,} at most")
    return path.read_bytes()


def read_text(path: Path) -> str:
    """Returns the text of a file.

    Raises:
        As ``read_bytes``, and ValueError for one that is not in UTF-8.
    """
    content = read_bytes(path)
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{printable(path)} is not in UTF-8, from its byte {error.start} on: save it as UTF-8"
        ) from None


def read_record(path: Path, kinds: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """Returns a JSON object of which the values at some keys have to be of some types.

    Raises:
        As ``read_text``, and ValueError for anything else, naming the key.
    """
    try:
        tree = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{printable(path)} is no JSON, cut short or altered: {error}") from None
    except RecursionError:
        raise ValueError(f"{printable(path)} is no record: it is nested too deep") from None
    if not isinstance(tree, dict):
        raise ValueError(f"{printable(path)}: expected an object with {', '.join(kinds)}, got {type(tree).__name__}")
    for key, kind in kinds.items():
        if key not in tree:
            raise ValueError(f"{printable(path)} lacks {key}")
        if not isinstance(tree[key], kind) or (isinstance(tree[key], bool) and kind is not bool):
            raise ValueError(
                f"{printable(path)}: {key} is of the wrong type, {type(tree[key]).__name__}: {tree[key]!r:.60}"
            )
    return tree


def open_array(path: Path) -> np.ndarray:
    """Returns the array of a .npy file, mapped and read-only. Nothing that it holds is run.

    Raises:
        As ``check_plain``, and ValueError for a file of another kind, saying which.
    """
    check_plain(path)
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{printable(path)} is cut short or no array ({_why_no_array(path, error)})") from None
    if not isinstance(found, np.ndarray):
        raise ValueError(f"{printable(path)} is an archive of arrays (.npz), expected one array: save it by numpy.save")
    return found


def printable(path: Path | str) -> str:
    """Returns a path as it can be printed and stored, whatever the bytes of its name are."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _why_no_array(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        head = file.read(6)
    if not head:
        return "it is empty"
    if head.startswith(b"\x93NUMPY"):
        return "it holds Python objects, which are not read" if "object" in str(error).lower() else str(error)
    return "it is no .npy file"
