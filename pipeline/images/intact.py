"""Whether packed pixels are still those that were packed: by the CRC-32 of each image, which lies beside them."""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path

import numpy as np

KEPT_FILE = "kept.txt"
"""How the array was made, and row, facts and CRC-32 of the pixels of each image, line by line."""
CHECKED_FILE = ".checked"
"""Which file was found to be intact. DVC ignores it (.dvcignore)."""


def check_pixels(file: Path, images: np.ndarray, *, again: bool = False) -> None:
    """Ensures that ``images`` ``[N, H, W, 3]``, mapped from ``file``, are as they were packed.

    A file is read for it once, and not again as long as its size and time stay; ``again`` reads it all the same. A
    store without CRCs, such as a held-out part of another one, is taken as it is.

    Raises:
        ValueError: naming the first row that differs.
    """
    kept, checked = file.with_name(KEPT_FILE), file.with_name(CHECKED_FILE)
    if not kept.is_file():
        return
    found = file.stat()
    stamp = f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"
    if not again and checked.is_file() and checked.read_text() == stamp:
        return
    advice = f"make the store again: reid prepare {file.parent.name}"
    known = known_crcs(kept)
    if len(known) != len(images):
        raise ValueError(f"{kept} knows {len(known)} images of {len(images)}: {advice}")
    for row, pixels in enumerate(images):
        if zlib.crc32(pixels.data) != known.get(row):
            raise ValueError(f"{file}: image {row} is not as it was packed, the file was altered or damaged: {advice}")
    with contextlib.suppress(OSError):  # of a folder in which nothing may be written
        checked.write_text(stamp)


def known_crcs(kept: Path) -> dict[int, int]:
    """Returns the CRC-32 by row that a list of kept images says."""
    lines = (line.split() for line in kept.read_text(errors="replace").splitlines()[1:])
    return {int(words[0]): int(words[-1]) for words in lines if words[0].isdecimal() and words[-1].isdecimal()}
