from pathlib import Path

import pandas as pd
import pytest

from pipeline.datasets.layouts.folders import MARKET
from pipeline.datasets.layouts.market import NAME, list_market
from pipeline.datasets.listing import Listing
from pipeline.datasets.validation.examination import tabulate
from pipeline.images.table import DataError

ADVICE = "Ask the authors."


def read(folder: Path, *, has_junk: bool = True, num_cameras: int = 6) -> pd.DataFrame:
    entries, problems = list_market(folder, has_junk=has_junk, advice=ADVICE)
    return tabulate(Listing("set", folder, entries, num_cameras, problems=problems), is_whole=False)[0]


def problems(folder: Path, *, has_junk: bool = True, num_cameras: int = 6) -> list[str]:
    with pytest.raises(DataError) as error:
        read(folder, has_junk=has_junk, num_cameras=num_cameras)
    return error.value.problems


@pytest.mark.parametrize(
    ("name", "person", "camera"),
    [
        ("0002_c1s1_000451_03.jpg", 2, 1),
        ("-1_c6s2_000401_03.jpg", -1, 6),
        ("1488_c3s3_065342_04.jpg.jpg", 1488, 3),
        ("0001_c2_f0046182.jpg", 1, 2),
        ("12345_c11s1_000451_03.jpg", 12345, 11),
    ],
)
def test_names_of_both_data_sets_are_read(name: str, person: int, camera: int) -> None:
    match = NAME.fullmatch(name)
    assert match
    assert (int(match[1]), int(match[2])) == (person, camera)


@pytest.mark.parametrize(
    "name", ["2_c1.jpg", "0002_s1.jpg", "0002_c1s1.png", "-2_c1s1.jpg", "0002_c1s1.jpg.part", "c1"]
)
def test_other_names_are_not(name: str) -> None:
    assert NAME.fullmatch(name) is None


def test_images_stand_by_folder_and_name(market: Path) -> None:
    table = read(market)
    folders = [path.split("/")[0] for path in table["path"]]
    assert [MARKET[folder] for folder in folders] == table["role"].tolist()
    for folder in MARKET:
        names = [path for path in table["path"] if path.startswith(folder)]
        assert names == sorted(names)


def test_junk_is_a_fault_where_a_data_set_has_none(market: Path) -> None:
    (message,) = problems(market, has_junk=False)
    assert message.startswith("bounding_box_test/-1_c1s1_000401_03.jpg: person_id below 0")


def test_junk_belongs_in_the_gallery(market: Path) -> None:
    (market / "query" / "0001_c1s1_001051_00.jpg").rename(market / "query" / "-1_c1s1_001051_00.jpg")
    (message,) = problems(market)
    assert message.startswith("query/-1_c1s1_001051_00.jpg: person_id below 0")


def test_everything_that_is_wrong_is_told_at_once(market: Path) -> None:
    (market / "query" / "notes.txt").write_text("")
    (market / "query" / "0003_c6s1_001051_00.jpg").write_bytes(b"")
    found = problems(market, num_cameras=2)
    assert [line.split(":")[0] for line in found] == [
        "query/notes.txt",
        "query/0003_c6s1_001051_00.jpg",
        "bounding_box_train/0007_c3s3_077419_03.jpg",
        "query/0003_c6s1_001051_00.jpg",
        "bounding_box_test/0003_c6s1_001076_02.jpg",
    ]


def test_a_folder_without_images_is_said_to_be_empty(tmp_path: Path) -> None:
    for folder in MARKET:
        (tmp_path / folder).mkdir()
    assert problems(tmp_path) == ["no images"]


def test_what_lies_where_it_should_not_is_answered_with_advice(tmp_path: Path) -> None:
    assert problems(tmp_path / "absent") == [f"no such folder. {ADVICE}"]
    (message,) = problems(tmp_path)
    assert message.endswith(f"not there. {ADVICE}")
    (tmp_path / "archive.zip").write_bytes(b"")
    (message,) = problems(tmp_path / "archive.zip")
    assert message == f"no such folder. {ADVICE}"
