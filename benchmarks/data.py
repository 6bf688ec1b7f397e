"""How fast images are rendered and packed, beside how the field usually does it: ``make bench``.

Rates are images per second, on all cores, as ``prepare`` uses them. ``--json FILE`` writes the table as well.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.config import block, load, parse
from pipeline.datasets.packing import Packing
from pipeline.datasets.readers import market1501
from pipeline.datasets.validation.examination import examine
from pipeline.synthetic_people import world

PARAMS = Path(__file__).parents[1] / "params.yaml"
CORES = os.cpu_count() or 1
MARKET = 12_936  # images to train on in Market-1501: as many are packed


@dataclass(frozen=True)
class Line:
    """A comparison; ``target`` is the least ``ratio`` of ours to theirs, or the least ``ours`` where they have none."""

    work: str
    ours: float
    theirs: float | None
    ratio: float | None
    target: float
    met: bool


def line(work: str, ours: float, theirs: float | None, target: float) -> Line:
    ratio = ours / theirs if theirs else None
    return Line(work, round(ours, 1), theirs and round(theirs, 1), ratio and round(ratio, 2), target,
                (ratio or ours) >= target)  # fmt: skip


def rendering(folder: Path) -> Line:
    people = block(load(PARAMS), "data", "people", "people")
    seen = {"identities": 40, "appearances": 240, "images": 600}
    params = parse(world.PeopleParams, people | {"train": seen, "test": seen}, "data.people.people")
    begun = time.perf_counter()
    world.render(params, folder, workers=CORES)
    images = 2 * len(world.shots(params))  # every image exists in visible and in infrared light
    return line(f"render people, 128x64, {CORES} cores", images / (time.perf_counter() - begun), None, target=200)


def multiply(source: Path, folder: Path) -> None:
    """Writes Market-1501's number of JPEGs to ``folder``, in its layout: those of ``source`` at other qualities."""
    entries = market1501.list_images(source, distractors=False).entries
    images = {entry.path: Image.open(source / entry.path).convert("RGB") for entry in entries}
    for number in range(MARKET):
        turn, place = divmod(number, len(entries))
        path = folder / entries[place].path.replace("_00.jpg", f"_{turn:02d}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        images[entries[place].path].save(path, quality=75 + turn)


def pack(source: Path, folder: Path, height: int, width: int) -> pd.DataFrame:
    """Packs a data set in Market-1501's layout, as the stage does, and returns its table."""
    listing = market1501.list_images(source, distractors=False)
    with Packing(folder, rows=len(listing.entries), height=height, width=width, resampling="bicubic") as packing:
        table, report = examine(listing, name="bench", is_whole=False, cache=packing, workers=CORES)
        report.refuse_errors(source)
        packing.finish(table, {}, {})
    return table


def packing(source: Path, folder: Path, height: int, width: int) -> list[Line]:
    """Returns the rate of packing, which checks every file too, and of packing what is packed already."""
    used, begun = time.process_time(), time.perf_counter()
    table = pack(source, folder, height, width)
    ours, used = time.perf_counter() - begun, time.process_time() - used
    begun = time.perf_counter()
    pack(source, folder, height, width)
    again = time.perf_counter() - begun
    plain, begun = time.process_time(), time.perf_counter()
    images = np.empty((len(table), height, width, 3), dtype=np.uint8)
    for row, path in enumerate(table["path"]):
        image = Image.open(source / path).convert("RGB")
        images[row] = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
    with (folder.parent / "plain.npy").open("wb") as file:
        np.save(file, images)
        os.fsync(file)
    theirs, plain = time.perf_counter() - begun, time.process_time() - plain
    begun = time.perf_counter()
    for path in table["path"]:
        hashlib.sha256((source / path).read_bytes()).hexdigest()
    hashed = time.perf_counter() - begun
    count, work = len(table), f"check and pack {len(table):,} JPEGs at {height}x{width}, {CORES} cores"
    return [
        line(f"{work}, {1e3 * used / count:.2f} ms of CPU each", count / ours, None, target=1500),
        line(f"{work}, beside a plain loop of {1e3 * plain / count:.2f} ms", count / ours, count / theirs, target=1.0),
        line("pack what is packed already, beside hashing it", count / again, count / hashed, target=0.2),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the lines to this file")
    given = parser.parse_args()
    with TemporaryDirectory() as place:
        raw = Path(place) / "people"
        lines = [rendering(raw)]
        source = raw / "market1501"
        multiply(source, Path(place) / "multiplied")
        lines += packing(Path(place) / "multiplied", Path(place) / "largest", 256, 128)
    print(pd.DataFrame([asdict(one) for one in lines]).to_string(index=False, na_rep="-"))
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in lines], indent=2) + "\n")


if __name__ == "__main__":
    main()
