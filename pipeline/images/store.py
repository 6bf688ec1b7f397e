"""Packed images: decoded and resized once, then one memory-mapped uint8 array."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from pipeline.images import table as image_table
from pipeline.images.intact import check_pixels
from pipeline.inputs import open_array, read_record

TABLE_FILE, IMAGES_FILE, META_FILE = "table.parquet", "images.npy", "meta.json"
MASKS_FILE = "masks.npy"
META = {"height": int, "width": int, "fingerprint": str}
"""What meta.json must say, and of which type."""

Read = TypeVar("Read")


class ImageStore:
    """A packed data set, opened read-only.

    ``table``: one row per image. ``images``: ``[N, H, W, 3]`` uint8, memory-mapped, so that the processes of
    a machine share its pages. ``cameras`` (int64) and ``is_infrared`` (bool): ``[N]``. ``masks``: ``[N, H, W]`` uint8,
    255 where the person is, memory-mapped; None where nobody knows, as for real data.
    ``meta``: ``height``, ``width``, ``counts``, ``fingerprint``.

    Raises:
        ValueError: when a file is missing, the three of them do not belong together, or the pixels were altered.
    """

    def __init__(self, folder: Path) -> None:
        missing = [name for name in (TABLE_FILE, IMAGES_FILE, META_FILE) if not (folder / name).is_file()]
        if missing:
            raise ValueError(
                f"{folder} holds no packed images, it lacks {', '.join(missing)}: make it by reid prepare {folder.name}"
            )
        self.table: pd.DataFrame = image_table.read(folder / TABLE_FILE)
        self.meta: dict[str, Any] = _told(read_record, folder / META_FILE, META)
        self.images: np.ndarray = _told(open_array, folder / IMAGES_FILE)
        self.cameras = self.table["camera_id"].to_numpy()
        self.is_infrared = (self.table["modality"] == "infrared").to_numpy()
        expected = (len(self.table), self.meta["height"], self.meta["width"], 3)
        if self.images.shape != expected or self.images.dtype != np.uint8:
            raise ValueError(
                f"{folder / IMAGES_FILE}: expected uint8 {list(expected)} as the table and meta.json say, "
                f"got {self.images.dtype} {list(self.images.shape)}: build the store again"
            )
        if self.meta["fingerprint"] != image_table.fingerprint(self.table):
            raise ValueError(f"{folder}: meta.json is of another table than {TABLE_FILE}: build the store again")
        check_pixels(folder / IMAGES_FILE, self.images)
        masks = folder / MASKS_FILE
        self.masks: np.ndarray | None = _told(open_array, masks) if masks.is_file() else None
        if self.masks is not None and (self.masks.shape != expected[:3] or self.masks.dtype != np.uint8):
            raise ValueError(
                f"{masks}: expected uint8 {list(expected[:3])} as the images are, "
                f"got {self.masks.dtype} {list(self.masks.shape)}: build the store again"
            )


def _told(read: Callable[..., Read], *arguments: Any) -> Read:
    """Returns what is read; an error says what to do."""
    try:
        return read(*arguments)
    except ValueError as error:
        raise ValueError(f"{error}: build the store again") from None
