"""Pictures of generated people, as JPEGs of Market-1501's size and packed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.config import block, load, parse
from pipeline.datasets.resizing import resize
from pipeline.synthetic_people import world

PARAMS = Path(__file__).parents[2] / "params.yaml"


def photograph(folder: Path, count: int) -> list[Path]:
    """Writes ``count`` JPEGs of 128x64 pixels to ``folder``, as params.yaml has the people seen, and returns them."""
    params = parse(world.PeopleParams, block(load(PARAMS), "data", "people", "people"), "data.people.people")
    files = []
    for number, shot in enumerate(world.shots(params)[:count]):
        files.append(folder / f"{number:05d}.jpg")
        world.photograph(params, shot)[0].save(files[-1], quality=90)
    return files


def pack(files: list[Path], file: Path, *, rows: int, height: int, width: int) -> np.ndarray:
    """Returns a memory map of ``rows`` images of that size, over and over those of ``files``: the store's pixels."""
    images = [resize(np.asarray(Image.open(path).convert("RGB")), height, width, "bicubic") for path in files]
    packed = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=(rows, height, width, 3))
    for row in range(rows):
        packed[row] = images[row % len(images)]
    packed.flush()
    return np.load(file, mmap_mode="r")
