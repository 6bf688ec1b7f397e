from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.readers.cuhk03 import list_images
from pipeline.datasets.validation.examination import tabulate
from pipeline.images.table import DataError
from tests.datasets import tiny_sets
from tests.datasets.reader_sets import Set

SETS = {
    "cuhk03_labeled": Set(
        "cuhk03", tiny_sets.cuhk03, {"boxes": "labeled"}, ("cuhk03_new_protocol_config_labeled.mat",), (2, 1, 2)
    ),
    "cuhk03_detected": Set(
        "cuhk03",
        lambda root: tiny_sets.cuhk03(root, "detected"),
        {"boxes": "detected"},
        ("cuhk03_new_protocol_config_detected.mat", "images_detected"),
        (2, 1, 2),
    ),
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")


def test_roles_come_from_the_protocol_and_cameras_are_the_two_views(tmp_path: Path) -> None:
    listing = list_images(tiny_sets.cuhk03(tmp_path), boxes="labeled")
    found = [(entry.path, entry.person_id, entry.camera_id, entry.role) for entry in listing.entries]
    assert found == [
        ("images_labeled/1_001_1_01.png", 1, 1, "train"),
        ("images_labeled/1_001_2_06.png", 1, 2, "train"),
        ("images_labeled/1_002_1_01.png", 2, 1, "query"),
        ("images_labeled/1_002_1_02.png", 2, 1, "gallery"),
        ("images_labeled/5_002_2_06.png", 2, 2, "gallery"),
    ]


def test_drawn_and_found_boxes_are_two_data_sets(tmp_path: Path) -> None:
    listings = [
        list_images(tiny_sets.cuhk03(tmp_path / boxes, boxes), boxes=boxes) for boxes in ("labeled", "detected")
    ]
    assert [listing.name for listing in listings] == ["cuhk03_np_labeled", "cuhk03_np_detected"]
    published = [listing.published for listing in listings]
    assert [counts and (counts.train_images, counts.gallery_images) for counts in published] == [
        (7368, 5328),
        (7365, 5332),
    ]


@pytest.mark.parametrize("boxes", ["labeled", "detected"])
def test_the_makers_file_gives_the_same_table_as_its_images(boxes: str, tmp_path: Path) -> None:
    raw = list_images(tiny_sets.cuhk03_raw(tmp_path, boxes), boxes=boxes)
    assert raw.folder == Path("data/unpacked/cuhk03")
    assert raw.entries == list_images(tiny_sets.cuhk03(tmp_path, boxes), boxes=boxes).entries
    assert len(tabulate(raw, is_whole=False)[0]) == 5
    for name in tiny_sets.CUHK03_FILES:
        with Image.open(raw.folder / f"images_{boxes}" / name) as image:
            np.testing.assert_array_equal(np.asarray(image), tiny_sets.cuhk03_pixels(name))
    assert len(list((raw.folder / f"images_{boxes}").iterdir())) == 5, "empty cells are no images"


def test_the_makers_file_is_unpacked_once_and_again_when_it_changes(tmp_path: Path) -> None:
    folder = tiny_sets.cuhk03_raw(tmp_path)
    image = list_images(folder, boxes="labeled").folder / "images_labeled" / tiny_sets.CUHK03_FILES[0]
    before = image.stat().st_mtime_ns
    list_images(folder, boxes="labeled")
    assert image.stat().st_mtime_ns == before
    with h5py.File(folder / "cuhk03_release" / "cuhk-03.mat", "a") as file:
        file.create_dataset("more", data=np.zeros(100))
    list_images(folder, boxes="labeled")
    assert image.stat().st_mtime_ns != before


def test_a_damaged_file_is_named_and_leaves_no_images(tmp_path: Path) -> None:
    folder = tiny_sets.cuhk03_raw(tmp_path)
    raw = folder / "cuhk03_release" / "cuhk-03.mat"
    raw.write_bytes(raw.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"cuhk-03\.mat: 1 problem\n.*not CUHK03's file, truncated or damaged"):
        list_images(folder, boxes="labeled")
    assert not Path("data/unpacked/cuhk03/images_labeled").exists()


def test_neither_images_nor_the_makers_file_is_answered_with_advice(tmp_path: Path) -> None:
    tiny_sets.cuhk03_protocol(tmp_path / "cuhk03", "labeled")
    with pytest.raises(
        DataError, match=r"expected images_labeled or cuhk03_release/cuhk-03\.mat in it\. CUHK03 is never"
    ):
        list_images(tmp_path / "cuhk03", boxes="labeled")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"train_idx": np.array([[1], [6]])}, "train_idx: 6, outside 1..5"),
        ({"query_idx": np.array([[0]])}, "query_idx: 0, outside 1..5"),
        (
            {"filelist": np.array([["a.png"]] * 5, dtype=object)},
            "a.png: not named as <pair>_<identity>_<view>_<image>.png",
        ),
    ],
)
def test_a_protocol_that_does_not_fit_is_named(changes: dict[str, object], problem: str, tmp_path: Path) -> None:
    folder = tiny_sets.cuhk03(tmp_path)
    tiny_sets.cuhk03_protocol(folder, "labeled", **changes)
    assert any(problem in line for line in list_images(folder, boxes="labeled").problems)


def test_an_image_on_both_sides_is_named(tmp_path: Path) -> None:
    folder = tiny_sets.cuhk03(tmp_path)
    tiny_sets.cuhk03_protocol(folder, "labeled", query_idx=np.array([[1], [3]]))
    with pytest.raises(DataError) as error:
        tabulate(list_images(folder, boxes="labeled"), is_whole=False)
    assert any("images_labeled/1_001_1_01.png: listed twice" in line for line in error.value.problems)
    assert any("person_id 1 is in both train and test" in line for line in error.value.problems)


def test_another_file_under_the_protocols_name_is_refused(tmp_path: Path) -> None:
    folder = tiny_sets.cuhk03(tmp_path)
    file = folder / "cuhk03_new_protocol_config_labeled.mat"
    file.write_text("<html>404</html>")
    with pytest.raises(DataError, match="not the new protocol: not a MATLAB file, truncated or damaged"):
        list_images(folder, boxes="labeled")
    tiny_sets.cuhk03_protocol(folder, "labeled", labels=np.array([[1], [2]]))
    with pytest.raises(DataError, match="5 names for 2 labels"):
        list_images(folder, boxes="labeled")
