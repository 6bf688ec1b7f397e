from pathlib import Path

import pytest

from pipeline.datasets.readers.pku_reid import SPLITS, list_images
from pipeline.datasets.validation.examination import examine, tabulate
from pipeline.images.table import DataError, fingerprint
from tests.datasets import tiny_sets
from tests.datasets.reader_sets import Set

SETS = {
    "pku_reid": Set("pku_reid", tiny_sets.pku_reid, {"split": 2}, (), (12, 4, 4)),
    "pku_reid_part": Set("pku_reid", tiny_sets.pku_reid_part, {"split": 2}, (), (12, 4, 4), is_conversion=True),
}


def trained(folder: Path, split: int) -> set[int]:
    return {entry.person_id for entry in list_images(folder, split=split).entries if entry.role == "train"}


def test_each_halving_is_used_both_ways(tmp_path: Path) -> None:
    folder = tiny_sets.pku_reid(tmp_path)
    for split in range(1, SPLITS, 2):
        first, second = trained(folder, split), trained(folder, split + 1)
        assert first | second == set(tiny_sets.PKU_REID_PEOPLE)
        assert not first & second
        assert abs(len(first) - len(second)) == 1, "five persons"


def test_the_halves_are_the_same_wherever_they_are_drawn(tmp_path: Path) -> None:
    folder = tiny_sets.pku_reid(tmp_path)
    drawn = [sorted(trained(folder, split)) for split in range(1, SPLITS, 2)]
    assert drawn == [[1, 20], [3, 114], [1, 114], [1, 20], [1, 3]]


def test_one_camera_asks_and_the_other_answers(tmp_path: Path) -> None:
    table, _ = tabulate(list_images(tiny_sets.pku_reid(tmp_path), split=1), is_whole=False)
    roles = table[table["split"] == "test"].groupby("camera_id")["role"].agg(set).to_dict()
    assert roles == {1: {"query"}, 2: {"gallery"}}
    assert set(table.loc[table["role"] == "train", "camera_id"]) == {1, 2}


def test_the_splits_are_told_apart_by_their_fingerprints_and_how_the_files_lie_is_not(tmp_path: Path) -> None:
    folder = tiny_sets.pku_reid(tmp_path)
    persons = tmp_path / "persons"
    for file in folder.iterdir():
        person, _, rest = file.name.partition("_")
        (persons / person).mkdir(parents=True, exist_ok=True)
        (persons / person / rest).write_bytes(file.read_bytes())
    flat, lying = (
        [fingerprint(tabulate(list_images(place, split=split), is_whole=False)[0]) for split in (1, 2)]
        for place in (folder, persons)
    )
    assert flat == lying
    assert flat[0] != flat[1]


@pytest.mark.parametrize("split", [0, 11])
def test_there_are_ten_splits(split: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"split: expected one of 1 to 10, got {split}"):
        list_images(tiny_sets.pku_reid(tmp_path), split=split)


@pytest.mark.parametrize(
    "name", ["1_01_1.png", "000_01_1.png", "001_03_1.png", "001_01_9.png", "001_01_1.jpg", "003/001_01_1.png"]
)
def test_a_file_of_another_name_is_named(name: str, tmp_path: Path) -> None:
    folder = tiny_sets.pku_reid(tmp_path)
    tiny_sets.image(folder / name)
    (problem,) = list_images(folder, split=1).problems
    assert problem.startswith(f"{name}: not named as <person, 3 digits>_<camera, 01 or 02>_<side, 1 to 8>.png")


def test_other_folders_are_passed_over(tmp_path: Path) -> None:
    folder = tiny_sets.pku_reid_part(tmp_path)
    listing = list_images(folder, split=1)
    assert not listing.problems
    assert {entry.path.rsplit("/", 2)[0] for entry in listing.entries} == {"train", "val/all_imgs"}


def test_a_single_person_is_no_data_set(tmp_path: Path) -> None:
    tiny_sets.image(tmp_path / "alone" / "001_01_1.png")
    with pytest.raises(DataError) as error:
        list_images(tmp_path / "alone", split=1)
    (message,) = error.value.problems
    assert message.startswith("expected images of two persons or more in it, named as <person, 3 digits>_")
    assert "CC BY-NC-SA 4.0" in message


def test_a_jpeg_under_the_name_of_a_png_is_a_warning(tmp_path: Path) -> None:
    listing = list_images(tiny_sets.pku_reid(tmp_path), split=1)
    _, report = examine(listing, name="small", is_whole=False, cache=None, workers=1)
    assert {found.rule for found in report.warnings} == {"mislabelled", "small"}
    assert not report.errors
