"""Packed images: decoded and resized once, then one memory-mapped uint8 array."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.data import table as image_table
from pipeline.data.progress import in_threads

TABLE_FILE, IMAGES_FILE, META_FILE = "table.parquet", "images.npy", "meta.json"


def build(
    table: pd.DataFrame,
    source: Path,
    folder: Path,
    *,
    height: int,
    width: int,
    workers: int,
    about: Mapping[str, Any],
) -> None:
    """Ensures that ``folder`` holds the images at ``height`` x ``width`` pixels, complete or not at all.

    ``source`` is the data folder that the table's paths start from. Row i of the array is row i of the table.
    Every image is what Pillow gives: decoded, converted to RGB, resized with its antialiased bicubic filter.
    ``workers`` threads share the work (Pillow decodes and resizes outside the interpreter lock); each holds
    one image, the array is written through a memory map. All of it is written beside ``folder`` and renamed;
    an older store there is replaced. ``about`` is added to meta.json.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shape = (len(table), height, width, 3)
    images = np.lib.format.open_memmap(partial / IMAGES_FILE, mode="w+", dtype=np.uint8, shape=shape)
    paths = table["path"].tolist()

    def pack(row: int) -> None:
        images[row] = decode(source / paths[row], height=height, width=width)

    in_threads(pack, range(len(paths)), workers=workers, what=f"packing images at {height}x{width}")
    images.flush()
    image_table.write(table, partial / TABLE_FILE)
    meta = {
        **about,
        "height": height,
        "width": width,
        "counts": asdict(image_table.count(table)),
        "fingerprint": image_table.fingerprint(table),
    }
    (partial / META_FILE).write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def decode(path: Path, *, height: int, width: int) -> np.ndarray:
    """Returns the image of a file at the given size in pixels, ``[H, W, 3]`` uint8 RGB."""
    with Image.open(path) as image:
        resized = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)


class ImageStore:
    """A packed data set, opened read-only.

    ``table``: one row per image. ``images``: ``[N, H, W, 3]`` uint8, memory-mapped, so that the processes of
    a machine share its pages. ``cameras`` (int64) and ``is_infrared`` (bool): ``[N]``.
    ``meta``: ``height``, ``width``, ``counts``, ``fingerprint``.

    Raises:
        ValueError: when a file is missing or the three of them do not belong together.
    """

    def __init__(self, folder: Path) -> None:
        missing = [name for name in (TABLE_FILE, IMAGES_FILE, META_FILE) if not (folder / name).is_file()]
        if missing:
            raise ValueError(f"{folder} is not an image store, it lacks {', '.join(missing)}: build it again")
        self.table: pd.DataFrame = image_table.read(folder / TABLE_FILE)
        self.meta: dict[str, Any] = json.loads((folder / META_FILE).read_text())
        self.images: np.ndarray = _open_array(folder / IMAGES_FILE)
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


def _open_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r")
    except ValueError as error:
        raise ValueError(f"{path} is cut short or no array ({error}): build the store again") from None
