import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.images import intact
from pipeline.images.store import ImageStore


@pytest.fixture
def folder(market: Path, tmp_path: Path, pack: Callable[..., object]) -> Path:
    pack(market, tmp_path / "store")
    return tmp_path / "store"


def test_a_store_is_mapped_and_not_read(folder: Path) -> None:
    images = ImageStore(folder).images
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable


@pytest.mark.parametrize("part", ["table.parquet", "images.npy", "meta.json"])
def test_a_store_without_one_of_its_parts_is_refused(folder: Path, part: str) -> None:
    (folder / part).unlink()
    with pytest.raises(ValueError, match=rf"lacks {part}: make it by reid prepare"):
        ImageStore(folder)


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


def zeroed_bytes(folder: Path) -> None:
    np.load(folder / "images.npy", mmap_mode="r+")[3, 5:9] = 0


def fewer_kept(folder: Path) -> None:
    lines = (folder / "kept.txt").read_text().splitlines()
    (folder / "kept.txt").write_text("\n".join(lines[:-1]))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_array, "images.npy is cut short"),
        (another_size, r"expected uint8 \[9, 48, 10, 3\]"),
        (another_table, "meta.json is of another table"),
        (zeroed_bytes, r"images.npy: image 3 is not as it was packed.*: reid prepare store"),
        (fewer_kept, r"kept.txt knows 8 images of 9"),
        (fewer_rows, r"expected uint8 \[5, 24, 10, 3\]"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(
    folder: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        ImageStore(folder)


def test_pixels_are_looked_at_once_for_each_state_of_their_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ImageStore(folder)
    with monkeypatch.context() as patch:
        patch.setattr(intact, "known_crcs", lambda kept: pytest.fail("read again"))
        ImageStore(folder)
    zeroed_bytes(folder)
    with pytest.raises(ValueError, match="image 3 is not as it was packed"):
        ImageStore(folder)


def test_damage_that_leaves_no_other_time_is_found_on_demand(folder: Path) -> None:
    store, file = ImageStore(folder), folder / "images.npy"
    before = file.stat()
    zeroed_bytes(folder)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    ImageStore(folder)
    with pytest.raises(ValueError, match="image 3 is not as it was packed"):
        intact.check_pixels(file, store.images, again=True)
