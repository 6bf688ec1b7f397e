from pathlib import Path

import pytest

from pipeline.datasets.readers.regdb import list_images
from pipeline.datasets.validation.examination import examine, tabulate
from pipeline.images.table import DataError, fingerprint
from tests.datasets import tiny_sets
from tests.datasets.reader_sets import Set

SETS = {
    "regdb": Set(
        "regdb",
        tiny_sets.regdb,
        {"split": 2},
        ("idx/train_visible_2.txt", "idx/train_thermal_2.txt", "idx/test_visible_2.txt", "idx/test_thermal_2.txt"),
        (8, 2, 2),
        "regdb",
    ),
}


def test_each_split_trains_on_its_own_identities_and_both_directions_can_be_searched(tmp_path: Path) -> None:
    folder = tiny_sets.regdb(tmp_path)
    for split, train in tiny_sets.REGDB_TRAIN.items():
        table, _ = tabulate(list_images(folder, split=split), is_whole=False)
        assert set(table.loc[table["role"] == "train", "person_id"]) == {person + 1 for person in train}
        test = table[table["split"] == "test"]
        assert test.groupby("modality")["role"].agg(set).to_dict() == {"infrared": {"query"}, "visible": {"gallery"}}
        assert test.groupby("modality")["camera_id"].agg(set).to_dict() == {"infrared": {2}, "visible": {1}}
        assert test.groupby("modality")["person_id"].agg(set).tolist()[0] == set(test["person_id"])


def test_the_splits_are_told_apart_by_their_fingerprints_though_they_share_all_images(tmp_path: Path) -> None:
    folder = tiny_sets.regdb(tmp_path)
    tables = [tabulate(list_images(folder, split=split), is_whole=False)[0] for split in tiny_sets.REGDB_TRAIN]
    assert len({fingerprint(table) for table in tables}) == len(tables) > 1
    assert len({frozenset(table["sha256"]) for table in tables}) == 1


@pytest.mark.parametrize("split", [0, 11])
def test_there_are_ten_splits(split: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"split: expected one of 1 to 10, got {split}"):
        list_images(tiny_sets.regdb(tmp_path), split=split)


def test_lists_of_two_splits_show_the_identities_that_they_share(tmp_path: Path) -> None:
    folder = tiny_sets.regdb(tmp_path)
    for kind in ("visible", "thermal"):
        (folder / "idx" / f"test_{kind}_2.txt").replace(folder / "idx" / f"test_{kind}_1.txt")
    with pytest.raises(DataError) as error:
        tabulate(list_images(folder, split=1), is_whole=False)
    assert any("person_id 286 is in both train and test" in line for line in error.value.problems)


def test_a_label_that_stands_for_two_identities_is_named(tmp_path: Path) -> None:
    folder = tiny_sets.regdb(tmp_path)
    name = folder / "idx" / "train_thermal_1.txt"
    name.write_text(name.read_text().replace(" 0\n", " 1\n"))
    problems = list_images(folder, split=1).problems
    assert "idx/train_thermal_1.txt: Thermal/285/" in problems[0]
    assert "listed as 1, but before that 1 was identity 117 and 285 was listed as 0" in problems[0]


def test_a_png_under_another_name_is_named(tmp_path: Path) -> None:
    folder = tiny_sets.regdb(tmp_path)
    listing = list_images(folder, split=1)
    png = tiny_sets.image(tmp_path / "other.png")
    png.replace(folder / listing.entries[0].path)
    _, report = examine(listing, name="small", is_whole=False, cache=None, workers=1)
    assert f"{listing.entries[0].path}: named .bmp but holds a PNG image" in [found.text for found in report.warnings]
