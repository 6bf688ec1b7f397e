"""Images on their way into a packed store: kept one by one, so that a preparation that was stopped goes on."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import threading
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import PIL

from pipeline.datasets.resizing import Resampling, resize
from pipeline.datasets.validation.inspection import Facts
from pipeline.images import table as image_table
from pipeline.images.intact import KEPT_FILE
from pipeline.images.store import IMAGES_FILE, MASKS_FILE, META_FILE, TABLE_FILE
from pipeline.outputs import check_replaceable, check_room

LINE = re.compile(r"(\d+) (\w{64}) (\w+) (\d+) (\d+) (\w{64}) (\d+)")


class Packing:
    """Takes images, resizes them and writes them to their rows of the array, in a folder beside the store's.

    Every image is what Pillow gives: RGB, resized with one of its antialiased filters. ``store`` and ``lookup`` may be
    called by many threads at once (what takes long runs outside the interpreter lock), each of which holds one image;
    the array is written, not mapped, so that memory stays what it is for any number of images.

    A row is written down in ``kept.txt`` when its pixels are written. After a kill, a row counts if its file has the
    same content as then and its pixels have the CRC that was written down; all others are made again. What an older
    store of the same size holds is taken from there, by the content of its files. So the bytes of a store never depend
    on how often its making was interrupted.
    """

    def __init__(self, folder: Path, *, rows: int, height: int, width: int, resampling: Resampling) -> None:
        """``folder`` is where the store will be, ``rows`` how many images it will have, sizes are in pixels."""
        self.folder, self.partial = folder, folder.with_name(folder.name + ".partial")
        self.shape = (rows, height, width, 3)
        self.resampling = resampling
        # Bicubic goes unnamed, as it did when there was no other filter: such stores stay good.
        named = "" if resampling == "bicubic" else f"{resampling} "
        self._made_by = f"{named}{height}x{width} by Pillow {PIL.__version__}"
        self._row_size = height * width * 3
        self._lock = threading.Lock()
        older = self._kept(folder, self._made_by)
        self._older = {facts.sha256: (row, facts, crc) for row, (facts, crc) in older.items()}
        self._older_images: np.ndarray | None = None
        with contextlib.suppress(OSError, ValueError):  # cut short: then all is made again
            self._older_images = np.load(folder / IMAGES_FILE, mmap_mode="r") if older else None
        self._taken: dict[int, tuple[int, Facts]] = {}
        self._rows: dict[int, tuple[Facts, int]] = {}
        self._begin()

    def lookup(self, row: int, sha256: str) -> Facts | None:
        """Returns the facts of the image of a row, if it is kept already and its file still has this digest."""
        if row in self._rows:
            facts, crc = self._rows[row]
            if facts.sha256 == sha256 and zlib.crc32(os.pread(self._array, self._row_size, self._offset(row))) == crc:
                return facts
        if sha256 in self._older and self._older_images is not None:
            place, facts, crc = self._older[sha256]
            if place < len(self._older_images) and zlib.crc32(self._older_images[place].data) == crc:
                self._taken[row] = place, facts
                return facts
        return None

    def store(self, row: int, facts: Facts, pixels: np.ndarray) -> None:
        """Ensures that the image of ``pixels``, uint8 ``[H, W, 3]``, is in its row."""
        _, height, width, _ = self.shape
        self._write(row, facts, resize(pixels, height, width, self.resampling))

    def finish(
        self,
        table: pd.DataFrame,
        about: Mapping[str, Any],
        more: Mapping[str, pd.DataFrame],
        masks: np.ndarray | None = None,
    ) -> None:
        """Ensures that the folder holds the store of a table whose images are all kept, complete or not at all.

        ``about`` is added to meta.json, ``more`` are tables that lie beside, by their files' names, and so do ``masks``
        ``[N, H, W]``, if they are known. An older store is replaced, or left as it is when it is the same.
        """
        tables = {TABLE_FILE: table, **more}
        meta = {
            **about,
            "height": self.shape[1],
            "width": self.shape[2],
            "resampling": self.resampling,
            "counts": asdict(image_table.count(table)),
            "fingerprint": image_table.fingerprint(table),
        }
        text = json.dumps(meta, indent=2, sort_keys=True) + "\n"
        if not self._is_stored(tables, text, masks):
            self._take_over()
            os.fsync(self._array)
            for name, content in tables.items():
                image_table.write(content, self.partial / name)
            if masks is not None:
                np.save(self.partial / MASKS_FILE, masks)
            (self.partial / META_FILE).write_text(text)
            self._write_kept()
            shutil.rmtree(self.folder, ignore_errors=True)
            self.partial.rename(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ensures that no file is open; what was kept and is in no store yet stays for the next time."""
        os.close(self._array)
        os.close(self._journal)
        if not self._rows or kind is None:
            shutil.rmtree(self.partial, ignore_errors=True)

    def _begin(self) -> None:
        """Ensures that the partial folder has an array of the shape, with those of its rows that still count."""
        self._head = f"{self.shape[0]} rows of {self._made_by}"
        file = self.partial / IMAGES_FILE
        self._rows = self._kept(self.partial, self._head) if file.is_file() else {}
        if not self._rows:
            shutil.rmtree(self.partial, ignore_errors=True)
            self._check_place()
            self.partial.mkdir(parents=True)
            np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=self.shape)
        self._write_kept()
        self._array = os.open(file, os.O_RDWR)
        self._start = os.fstat(self._array).st_size - self.shape[0] * self._row_size
        self._journal = os.open(self.partial / KEPT_FILE, os.O_WRONLY | os.O_APPEND)

    def _check_place(self) -> None:
        """Ensures that a store can be put there, with the images that no older one has; an older one may stay."""
        rows, height, width, _ = self.shape
        if not self._older:
            check_replaceable(self.folder)
        missing = max(rows - len(self._older), 0)
        check_room(self.folder, missing * self._row_size, f"{missing:,} images packed to {height}x{width}")

    def _kept(self, folder: Path, made_by: str) -> dict[int, tuple[Facts, int]]:
        """Returns facts and CRC by row, of what a folder holds that was made in this way; torn lines are left out.

        ``made_by`` is the whole first line, or what follows the number of rows in it.
        """
        file = folder / KEPT_FILE
        head, *lines = (file.read_text() if file.is_file() else "").split("\n")[:-1] or [""]
        if made_by not in (head, head.partition(" rows of ")[2]):
            return {}
        found = {}
        for line in lines:
            if words := LINE.fullmatch(line):
                row, sha256, kind, width, height, pixels, crc = words.groups()
                found[int(row)] = (Facts(sha256, kind, int(width), int(height), pixels), int(crc))
        return found

    def _write_kept(self) -> None:
        lines = [_line(row, *self._rows[row]) for row in sorted(self._rows)]
        (self.partial / KEPT_FILE).write_text("\n".join([self._head, *lines]) + "\n")

    def _write(self, row: int, facts: Facts, pixels: np.ndarray) -> None:
        written = os.pwrite(self._array, pixels.data, self._offset(row))
        if written < self._row_size:  # a disk that becomes full takes a part first, and says nothing
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.partial / IMAGES_FILE))
        crc = zlib.crc32(pixels.data)
        with self._lock:
            self._rows[row] = (facts, crc)
            os.write(self._journal, (_line(row, facts, crc) + "\n").encode())

    def _offset(self, row: int) -> int:
        return self._start + row * self._row_size

    def _take_over(self) -> None:
        """Ensures that the rows which an older store has are in the array."""
        if self._older_images is not None:
            for row, (place, facts) in self._taken.items():
                self._write(row, facts, self._older_images[place])

    def _is_stored(self, tables: Mapping[str, pd.DataFrame], meta: str, masks: np.ndarray | None) -> bool:
        """Returns whether the folder holds this very store: every row is of it, and all else that it has is this."""
        parts = (IMAGES_FILE, META_FILE, *tables)
        if len(self._taken) < self.shape[0] or not all((self.folder / part).is_file() for part in parts):
            return False
        if (self.folder / META_FILE).read_text() != meta:
            return False
        file = self.folder / MASKS_FILE
        there = np.load(file) if file.is_file() else None
        if there is None or masks is None:
            if there is not masks:
                return False
        elif not np.array_equal(masks, there):
            return False
        return all(pd.read_parquet(self.folder / name).equals(content) for name, content in tables.items())


def _line(row: int, facts: Facts, crc: int) -> str:
    return f"{row} {facts.sha256} {facts.format} {facts.width} {facts.height} {facts.pixels} {crc}"
