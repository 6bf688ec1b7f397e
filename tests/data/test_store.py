import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.data.store import ImageStore, build
from pipeline.data.table import fingerprint


@pytest.fixture
def folder(market: Path, table: pd.DataFrame, tmp_path: Path) -> Path:
    build(table, market, tmp_path / "store", height=24, width=10, workers=2, about={})
    return tmp_path / "store"


def test_every_image_equals_pillows_bicubic_result(folder: Path, market: Path, table: pd.DataFrame) -> None:
    store = ImageStore(folder)
    assert store.images.shape == (9, 24, 10, 3)
    for row, path in enumerate(table["path"]):
        expected = Image.open(market / path).convert("RGB").resize((10, 24), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(store.images[row], np.asarray(expected))


def test_a_gray_jpeg_is_stored_with_three_channels(market: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    Image.fromarray(np.arange(512, dtype=np.uint16).reshape(32, 16).astype(np.uint8)).save(market / table.path[0])
    build(table, market, tmp_path / "store", height=32, width=16, workers=1, about={})
    image = ImageStore(tmp_path / "store").images[0]
    assert (image == image[..., :1]).all()


def test_a_store_says_what_it_holds(folder: Path, table: pd.DataFrame) -> None:
    store = ImageStore(folder)
    pd.testing.assert_frame_equal(store.table, table)
    assert store.meta["fingerprint"] == fingerprint(table)
    assert (store.meta["height"], store.meta["width"]) == (24, 10)
    assert store.meta["counts"]["gallery_images"] == 4


def test_bytes_do_not_depend_on_the_number_of_workers(folder: Path, market: Path, table: pd.DataFrame) -> None:
    build(table, market, folder.with_name("again"), height=24, width=10, workers=1, about={})
    for name in ("table.parquet", "images.npy", "meta.json"):
        assert (folder / name).read_bytes() == (folder.with_name("again") / name).read_bytes()


def test_a_store_is_mapped_and_not_read(folder: Path) -> None:
    images = ImageStore(folder).images
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable


def test_a_half_written_store_is_refused_and_built_anew(folder: Path, market: Path, table: pd.DataFrame) -> None:
    partial = folder.rename(folder.with_name("store.partial"))
    (partial / "meta.json").unlink()
    with pytest.raises(ValueError, match=r"lacks table.parquet, images.npy, meta.json: build it again"):
        ImageStore(folder)
    with pytest.raises(ValueError, match=r"lacks meta.json: build it again"):
        ImageStore(partial)
    build(table, market, folder, height=24, width=10, workers=1, about={})
    assert len(ImageStore(folder).images) == 9
    assert not partial.exists()


def test_a_build_that_fails_leaves_the_old_store(folder: Path, market: Path, table: pd.DataFrame) -> None:
    shutil.rmtree(market / "query")
    with pytest.raises(FileNotFoundError):
        build(table, market, folder, height=24, width=10, workers=2, about={})
    assert len(ImageStore(folder).images) == 9


def cut_array(folder: Path) -> None:
    content = (folder / "images.npy").read_bytes()
    (folder / "images.npy").write_bytes(content[:-100])


def another_size(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"height": 48}))


def another_table(folder: Path) -> None:
    table = pd.read_parquet(folder / "table.parquet")
    table.assign(camera_id=1).to_parquet(folder / "table.parquet", index=False)


def fewer_rows(folder: Path) -> None:
    pd.read_parquet(folder / "table.parquet")[:5].to_parquet(folder / "table.parquet", index=False)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_array, "images.npy is cut short"),
        (another_size, r"expected uint8 \[9, 48, 10, 3\]"),
        (another_table, "meta.json is of another table"),
        (fewer_rows, r"expected uint8 \[5, 24, 10, 3\]"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(
    folder: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        ImageStore(folder)
