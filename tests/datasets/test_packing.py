import errno
import itertools
import os
import shutil
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets import packing as module
from pipeline.datasets.packing import Packing
from pipeline.datasets.validation import examination
from pipeline.datasets.validation.inspection import decode
from pipeline.images.intact import KEPT_FILE
from pipeline.images.store import ImageStore
from pipeline.images.table import DataError, fingerprint

Pack = Callable[..., object]
GALLERY = "bounding_box_test/0001_c2s1_001976_02.jpg"


class StoppedError(Exception):
    """Stands for a kill: nothing after it runs but what closes files."""


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded from here on."""
    names: list[str] = []

    def spy(content: bytes, name: str, turn: int) -> object:
        names.append(name)
        return decode(content, name, turn)

    monkeypatch.setattr(examination, "decode", spy)
    return names


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def stop_after(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    """Makes packing stop when it has kept some images."""
    store = Packing.store

    def kill(self: Packing, row: int, *image: object) -> None:
        if len(self._rows) == kept:
            raise StoppedError
        store(self, row, *image)

    monkeypatch.setattr(Packing, "store", kill)


def test_every_image_equals_pillows_bicubic_result(market: Path, tmp_path: Path, pack: Pack) -> None:
    pack(market, tmp_path / "store")
    store = ImageStore(tmp_path / "store")
    assert store.images.shape == (9, 24, 10, 3)
    for row, path in enumerate(store.table["path"]):
        expected = Image.open(market / path).convert("RGB").resize((10, 24), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(store.images[row], np.asarray(expected))
    assert store.meta["fingerprint"] == fingerprint(store.table)
    assert (store.meta["height"], store.meta["width"], store.meta["counts"]["gallery_images"]) == (24, 10, 4)


def test_a_gray_image_is_stored_with_three_channels(market: Path, tmp_path: Path, pack: Pack) -> None:
    Image.fromarray(np.arange(512, dtype=np.uint16).reshape(32, 16).astype(np.uint8)).save(market / GALLERY)
    pack(market, tmp_path / "store")
    store = ImageStore(tmp_path / "store")
    (row,) = np.flatnonzero(store.table["path"] == GALLERY)
    assert (store.images[row] == store.images[row][..., :1]).all()


def test_bytes_do_not_depend_on_the_number_of_workers(market: Path, tmp_path: Path, pack: Pack) -> None:
    pack(market, tmp_path / "one", workers=1)
    pack(market, tmp_path / "many", workers=4)
    assert content(tmp_path / "one") == content(tmp_path / "many")


@pytest.mark.parametrize("kept", [1, 5, 8])
def test_what_was_stopped_goes_on_and_ends_in_the_same_bytes(
    market: Path, tmp_path: Path, pack: Pack, decoded: list[str], monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    pack(market, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, kept)
        with pytest.raises(StoppedError):
            pack(market, tmp_path / "store", workers=1)
    assert not (tmp_path / "store").exists()
    decoded.clear()
    pack(market, tmp_path / "store")
    assert len(decoded) == 9 - kept, "what was kept is not decoded again"
    assert content(tmp_path / "store") == content(tmp_path / "whole")
    assert not (tmp_path / "store.partial").exists()


@pytest.mark.parametrize("workers", [1, 3])
def test_what_was_killed_goes_on_and_ends_in_the_same_bytes(
    market: Path, tmp_path: Path, pack: Pack, decoded: list[str], workers: int
) -> None:
    def be_killed() -> None:
        store, done = Packing.store, itertools.count()

        def kill(self: Packing, row: int, *image: Any) -> None:
            store(self, row, *image)
            if next(done) == 4:
                os.kill(os.getpid(), signal.SIGKILL)

        Packing.store = kill  # type: ignore[method-assign]
        pack(market, tmp_path / "store", workers=workers)

    child = get_context("fork").Process(target=be_killed)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    pack(market, tmp_path / "store")
    assert 1 <= len(decoded) <= 4, "five images or more were kept"
    pack(market, tmp_path / "whole")
    assert content(tmp_path / "store") == content(tmp_path / "whole")


def test_pixels_that_did_not_reach_the_disk_are_made_again(
    market: Path, tmp_path: Path, pack: Pack, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(market, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(StoppedError):
            pack(market, tmp_path / "store", workers=1)
    partial = tmp_path / "store.partial"
    images = np.load(partial / "images.npy", mmap_mode="r+")
    images[2] = 0
    images.flush()
    with (partial / KEPT_FILE).open("a") as journal:
        journal.write("1")  # torn in the middle of a line
    decoded.clear()
    pack(market, tmp_path / "store")
    assert len(decoded) == 4
    assert content(tmp_path / "store") == content(tmp_path / "whole")


def test_a_file_that_changed_meanwhile_is_read_again(
    market: Path, tmp_path: Path, pack: Pack, jpeg: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(StoppedError):
            pack(market, tmp_path / "store", workers=1)
    jpeg(market / "bounding_box_train/0002_c1s1_000451_03.jpg", seed=77)
    pack(market, tmp_path / "store")
    pack(market, tmp_path / "fresh")
    assert content(tmp_path / "store") == content(tmp_path / "fresh")


def test_a_part_of_another_size_filter_or_pillow_is_not_gone_on_with(
    market: Path, tmp_path: Path, pack: Pack, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for change in ("size", "filter", "pillow"):
        with monkeypatch.context() as patch:
            stop_after(patch, 6)
            if change == "pillow":
                patch.setattr(module.PIL, "__version__", "0")
            with pytest.raises(StoppedError):
                pack(
                    market,
                    tmp_path / change,
                    workers=1,
                    height=48 if change == "size" else 24,
                    resampling="lanczos" if change == "filter" else "bicubic",
                )
        decoded.clear()
        pack(market, tmp_path / change)
        assert len(decoded) == 9


@pytest.mark.parametrize(("older", "height"), [(124, 24), (56, 6)])
def test_nothing_is_taken_from_a_store_of_a_size_that_ends_in_the_same_digits(
    market: Path, tmp_path: Path, pack: Pack, decoded: list[str], older: int, height: int
) -> None:
    pack(market, tmp_path / "store", height=older)
    decoded.clear()
    pack(market, tmp_path / "store", height=height)
    assert len(decoded) == 9


def test_a_part_of_another_number_of_rows_is_not_gone_on_with(
    market: Path, tmp_path: Path, pack: Pack, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(StoppedError):
            pack(market, tmp_path / "store", workers=1)
    kept = tmp_path / "store.partial" / KEPT_FILE
    kept.write_text("11" + kept.read_text())  # 119 rows of ...
    decoded.clear()
    pack(market, tmp_path / "store")
    assert len(decoded) == 9


def test_a_part_that_was_killed_before_its_first_line_was_written_is_begun_anew(
    market: Path, tmp_path: Path, pack: Pack, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(StoppedError):
            pack(market, tmp_path / "store", workers=1)
    (tmp_path / "store.partial" / KEPT_FILE).write_text("")
    decoded.clear()
    pack(market, tmp_path / "store")
    assert len(decoded) == 9


def test_packing_again_decodes_nothing_and_leaves_the_store_as_it_is(
    market: Path, tmp_path: Path, pack: Pack, decoded: list[str]
) -> None:
    store = tmp_path / "store"
    pack(market, store)
    inodes = {path.name: path.stat().st_ino for path in store.iterdir()}
    decoded.clear()
    report = pack(market, store)
    assert decoded == []
    assert {path.name: path.stat().st_ino for path in store.iterdir()} == inodes
    assert not (tmp_path / "store.partial").exists()
    assert str(report) == str(pack(market, tmp_path / "anew")), "the report is the same, too"


def test_a_photo_that_lies_on_its_side_is_named_though_it_was_packed_before(
    market: Path, tmp_path: Path, pack: Pack
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((16, 32), 50).save(market / GALLERY, exif=exif)
    for _ in range(2):
        report = pack(market, tmp_path / "store")
        assert [finding.text.split(":")[0] for finding in report.findings if finding.rule == "turned"] == [GALLERY]


def test_of_a_data_set_that_grew_only_the_new_images_are_decoded(
    market: Path, tmp_path: Path, pack: Pack, decoded: list[str], jpeg: Callable[..., None]
) -> None:
    pack(market, tmp_path / "store")
    jpeg(market / "bounding_box_train" / "0001_c1s1_000001_00.jpg".replace("0001_", "0004_", 1), seed=60)
    decoded.clear()
    pack(market, tmp_path / "store")
    assert decoded == ["bounding_box_train/0004_c1s1_000001_00.jpg"]
    pack(market, tmp_path / "fresh")
    assert content(tmp_path / "store") == content(tmp_path / "fresh")


def test_images_of_a_store_that_was_damaged_are_made_again(market: Path, tmp_path: Path, pack: Pack) -> None:
    pack(market, tmp_path / "store")
    before = content(tmp_path / "store")
    np.load(tmp_path / "store" / "images.npy", mmap_mode="r+")[2:5] = 0
    pack(market, tmp_path / "store")
    assert content(tmp_path / "store") == before
    (tmp_path / "store" / "images.npy").write_bytes(before["images.npy"][:-5])
    pack(market, tmp_path / "store")
    assert content(tmp_path / "store") == before


def test_a_broken_image_costs_the_others_nothing_once_it_is_mended(
    market: Path, tmp_path: Path, pack: Pack, decoded: list[str]
) -> None:
    good = (market / GALLERY).read_bytes()
    (market / GALLERY).write_bytes(good[:300])
    with pytest.raises(DataError):
        pack(market, tmp_path / "store")
    assert not (tmp_path / "store").exists()
    (market / GALLERY).write_bytes(good)
    decoded.clear()
    pack(market, tmp_path / "store")
    assert decoded == [GALLERY]


def test_a_build_that_fails_leaves_the_old_store(market: Path, tmp_path: Path, pack: Pack) -> None:
    pack(market, tmp_path / "store")
    before = content(tmp_path / "store")
    shutil.rmtree(market / "query")
    (market / "query").mkdir()
    (market / GALLERY).write_bytes(b"")
    with pytest.raises(DataError):
        pack(market, tmp_path / "store")
    assert content(tmp_path / "store") == before
    assert not (tmp_path / "store.partial").exists(), "there was nothing new to keep"


def test_a_listing_without_images_is_refused_like_any_other(tmp_path: Path, pack: Pack) -> None:
    for name in ("bounding_box_train", "query", "bounding_box_test"):
        (tmp_path / "empty" / name).mkdir(parents=True)
    with pytest.raises(DataError, match="no images"):
        pack(tmp_path / "empty", tmp_path / "store")


@pytest.mark.parametrize("takes", [None, 100])
def test_a_disk_that_becomes_full_is_no_fault_of_the_image(
    market: Path, tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch, takes: int | None
) -> None:
    def full(file: int, content: memoryview, place: int) -> int:
        if takes is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return takes

    monkeypatch.setattr(module.os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        pack(market, tmp_path / "store")
    monkeypatch.undo()
    pack(market, tmp_path / "store")
    ImageStore(tmp_path / "store")
