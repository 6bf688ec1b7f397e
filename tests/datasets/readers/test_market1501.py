from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pipeline.datasets.readers import market1501
from pipeline.datasets.readers.market1501 import list_images
from pipeline.datasets.validation.examination import examine, tabulate
from pipeline.images.table import Counts, DataError
from tests.datasets import tiny_sets
from tests.datasets.reader_sets import Set

MARKET_FOLDERS = ("bounding_box_train", "query", "bounding_box_test")
SETS = {
    "market1501": Set("market1501", tiny_sets.market1501, {"distractors": False}, MARKET_FOLDERS, (2, 1, 2)),
    "market1501_500k": Set(
        "market1501", tiny_sets.market1501, {"distractors": True}, (*MARKET_FOLDERS, "images"), (2, 1, 3)
    ),
}

TRAIN = "bounding_box_train/0002_c1s1_000451_03.jpg"
Jpeg = Callable[..., None]


def read(folder: Path, *, is_whole: bool = False) -> pd.DataFrame:
    return tabulate(list_images(folder, distractors=False), is_whole=is_whole)[0]


def problems(folder: Path, *, is_whole: bool = False) -> list[str]:
    with pytest.raises(DataError) as error:
        read(folder, is_whole=is_whole)
    return error.value.problems


def test_the_folders_become_train_query_and_gallery(market: Path) -> None:
    table = read(market)
    assert table["role"].tolist() == ["train"] * 3 + ["query"] * 2 + ["gallery"] * 4
    assert table["split"].tolist() == ["train"] * 3 + ["test"] * 6
    first = table.iloc[0]
    assert (first.path, first.person_id, first.camera_id, first.modality) == (TRAIN, 2, 1, "visible")
    assert (first.width, first.height, len(first.sha256)) == (16, 32, 64)


def test_junk_is_dropped_and_distractors_are_kept(market: Path) -> None:
    gallery = read(market).query("role == 'gallery'")
    assert gallery["person_id"].tolist() == [0, 1, 1, 3]


def test_counts_are_held_against_the_published_ones(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = problems(market, is_whole=True)
    assert "train images: 12,936 published, 3 here" in found
    assert "gallery identities: 750 published, 2 here" in found
    assert len(found) == 6
    monkeypatch.setattr(market1501, "PUBLISHED", Counts(3, 2, 2, 2, 4, 2))
    assert len(read(market, is_whole=True)) == 9


def test_data_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    (message,) = problems(tmp_path / "market1501")
    for part in ("never downloaded", "Liang Zheng", "data/raw/market1501", "REID_DATA_MARKET1501", "REID_DATA"):
        assert part in message


def test_the_parent_or_a_part_of_the_folder_names_the_right_one(market: Path) -> None:
    (message,) = problems(market.parent)
    assert f"{market} has them: give that" in message
    (message,) = problems(market / "query")
    assert f"{market} has them: give that" in message


def test_a_missing_part_is_named(market: Path) -> None:
    (market / "bounding_box_train").rename(market / "train")
    (message,) = problems(market)
    assert "bounding_box_train not there" in message
    assert "never downloaded" in message


def test_a_renamed_file_is_named(market: Path) -> None:
    (market / TRAIN).rename(market / "bounding_box_train" / "person two.jpg")
    (message,) = problems(market)
    assert "bounding_box_train/person two.jpg: not named as <identity, 4 digits>_c<camera>" in message


@pytest.mark.parametrize("share", [0.2, 0.95])
def test_a_truncated_jpeg_is_named(market: Path, share: float) -> None:
    content = (market / TRAIN).read_bytes()
    (market / TRAIN).write_bytes(content[: int(len(content) * share)])
    (message,) = problems(market)
    assert message.startswith(f"{TRAIN}: not a readable image, truncated or damaged")


def test_an_empty_file_is_named(market: Path) -> None:
    (market / TRAIN).write_bytes(b"")
    (message,) = problems(market)
    assert message == f"{TRAIN}: an empty file"


def test_a_png_named_jpg_is_named_and_read(market: Path) -> None:
    Image.new("RGB", (16, 32)).save(market / TRAIN, format="PNG")
    _, report = examine(list_images(market, distractors=False), name="small", is_whole=False, cache=None, workers=1)
    assert f"{TRAIN}: named .jpg but holds a PNG image" in [warning.text for warning in report.warnings]
    assert not report.errors


def test_an_identity_in_train_and_test_is_named_once(market: Path, jpeg: Jpeg) -> None:
    for name in ("0001_c1s1_000001_01.jpg", "0001_c3s1_000002_01.jpg"):
        jpeg(market / "bounding_box_train" / name)
    (message,) = problems(market)
    assert "person_id 1 is in both train and test: bounding_box_train/0001_c1s1_000001_01.jpg, query/" in message


def test_a_camera_out_of_range_is_named(market: Path, jpeg: Jpeg) -> None:
    jpeg(market / "query" / "0001_c7s1_000001_01.jpg", seed=99)
    (message,) = problems(market)
    assert "query/0001_c7s1_000001_01.jpg: camera_id outside 1..6" in message


def test_junk_outside_the_gallery_is_named(market: Path, jpeg: Jpeg) -> None:
    jpeg(market / "query" / "-1_c1s1_000001_01.jpg", seed=99)
    (message,) = problems(market)
    assert "query/-1_c1s1_000001_01.jpg: person_id below 0" in message


def test_all_problems_come_in_one_list(market: Path, jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market1501, "PUBLISHED", Counts(3, 2, 2, 2, 4, 2))
    (market / TRAIN).write_bytes(b"\xff\xd8\xff")
    jpeg(market / "query" / "unnamed.jpg")
    jpeg(market / "query" / "0001_c9s1_000001_01.jpg")
    jpeg(market / "bounding_box_test" / "0007_c1s1_000001_01.jpg")
    found = problems(market, is_whole=True)
    for part in ("not a readable image", "unnamed.jpg", "camera_id outside", "both train and test", "query images: 2"):
        assert len([line for line in found if part in line]) == 1, part


def test_empty_folders_are_no_data_set(tmp_path: Path) -> None:
    for name in ("bounding_box_train", "query", "bounding_box_test"):
        (tmp_path / name).mkdir()
    assert problems(tmp_path) == ["no images"]


def more_distractors(folder: Path, jpeg: Jpeg) -> None:
    for seed, name in enumerate(("0000_c1s1_000001_00.jpg", "0000_c6s2_000002_00.jpg", "-1_c2s1_000003_00.jpg")):
        jpeg(folder / "images" / name, seed + 50)


def test_half_a_million_distractors_are_another_data_set_and_come_only_when_asked_for(market: Path, jpeg: Jpeg) -> None:
    more_distractors(market, jpeg)
    assert len(read(market)) == 9
    listing = list_images(market, distractors=True)
    table, _ = tabulate(listing, is_whole=False)
    assert table["path"].tolist()[9:] == ["images/0000_c1s1_000001_00.jpg", "images/0000_c6s2_000002_00.jpg"]
    assert (table["person_id"][9:] == 0).all()
    assert (table["role"][9:] == "gallery").all()
    assert listing.name == "market1501_500k"
    assert listing.name != list_images(market, distractors=False).name


def test_their_round_number_is_a_note_and_the_others_must_hold(
    market: Path, jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    more_distractors(market, jpeg)
    with pytest.raises(DataError) as error:
        tabulate(list_images(market, distractors=True), is_whole=True)
    assert "train images: 12,936 published, 3 here" in error.value.problems
    assert not [line for line in error.value.problems if "gallery images" in line]
    monkeypatch.setattr(market1501, "PUBLISHED", Counts(3, 2, 2, 2, 4, 2))
    _, notes = tabulate(list_images(market, distractors=True), is_whole=True)
    assert notes == ["gallery images: 500,004 published, 6 here (a count that only the literature has)"]


def test_distractors_that_are_not_there_or_show_somebody_are_named(market: Path, jpeg: Jpeg) -> None:
    with pytest.raises(DataError, match=r"expected images in it, images not there.*distractors_500k"):
        list_images(market, distractors=True)
    jpeg(market / "images" / "0004_c1s1_000001_00.jpg")
    assert list_images(market, distractors=True).problems == [
        "images/0004_c1s1_000001_00.jpg: shows identity 4, and distractors are 0000 (or -1, junk)"
    ]
