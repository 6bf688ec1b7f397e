"""A tiny data set in the layout of Market-1501, good unless a test spoils it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.datasets.packing import Packing
from pipeline.datasets.readers.market1501 import list_images
from pipeline.datasets.resizing import Resampling
from pipeline.datasets.validation.examination import examine, tabulate
from pipeline.datasets.validation.report import Report

FILES = [
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c2s1_000776_01.jpg",
    "bounding_box_train/0007_c3s3_077419_03.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "query/0003_c6s1_001051_00.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/0000_c1s1_000151_01.jpg",
    "bounding_box_test/0001_c1s1_001051_01.jpg",
    "bounding_box_test/0001_c2s1_001976_02.jpg",
    "bounding_box_test/0003_c6s1_001076_02.jpg",
]


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (16, 32)) -> None:
    """Writes a JPEG of noise, ``size`` as width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="JPEG", quality=90)


@pytest.fixture
def jpeg() -> Callable[..., None]:
    return write_image


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """The folder of ten images: one junk box, one distractor, and one query without a match."""
    folder = tmp_path / "market"
    for seed, name in enumerate(FILES):
        write_image(folder / name, seed)
    (folder / "query" / "Thumbs.db").write_bytes(b"")
    return folder


@pytest.fixture
def table(market: Path) -> pd.DataFrame:
    return tabulate(list_images(market, distractors=False), is_whole=False)[0]


def pack_market(
    source: Path,
    folder: Path,
    *,
    height: int = 24,
    width: int = 10,
    workers: int = 2,
    resampling: Resampling = "bicubic",
) -> Report:
    """Packs a data set in the layout of Market-1501, as the stage does; raises a DataError for a broken one."""
    listing = list_images(source, distractors=False)
    with Packing(folder, rows=len(listing.entries), height=height, width=width, resampling=resampling) as packing:
        table, report = examine(listing, name="small", is_whole=False, cache=packing, workers=workers)
        report.refuse_errors(source)
        packing.finish(table, {"name": "small"}, {})
    return report


@pytest.fixture
def pack() -> Callable[..., Report]:
    return pack_market
