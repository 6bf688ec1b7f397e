from pathlib import Path

import pytest

from pipeline.datasets.listing import Listing
from pipeline.datasets.readers.msmt17 import PUBLISHED, TRAIN_IDENTITIES, UNVERIFIED_COUNTS, list_images
from pipeline.datasets.validation.examination import tabulate
from pipeline.images.table import Counts, DataError
from tests.datasets import tiny_sets
from tests.datasets.reader_sets import Set

SETS = {
    "msmt17": Set(
        "msmt17",
        tiny_sets.msmt17,
        {"version": "V1", "validation": True},
        ("test", "list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt"),
        (3, 2, 2),
    ),
    "msmt17_v2": Set(
        "msmt17",
        lambda root: tiny_sets.msmt17(root, "V2"),
        {"version": "V2", "validation": False},
        ("mask_test_v2", "list_train.txt", "list_query.txt", "list_gallery.txt"),
        (2, 2, 2),
    ),
    "msmt17_converted": Set(
        "msmt17",
        tiny_sets.msmt17_converted,
        {"version": "V1", "validation": True},
        ("query", "bounding_box_test"),
        (2, 1, 1),
        is_conversion=True,
    ),
}


def refused(folder: Path, *, version: str = "V1", validation: bool = True) -> str:
    with pytest.raises(DataError) as error:
        list_images(folder, version=version, validation=validation)
    (message,) = error.value.problems
    return message


def spoiled(root: Path, name: str, line: str) -> Listing:
    """Returns the listing of a data set with one more line in the list ``name``."""
    folder = tiny_sets.msmt17(root)
    with (folder / name).open("a") as file:
        file.write(line + "\n")
    return list_images(folder, version="V1", validation=True)


def test_identities_of_test_go_on_after_those_of_train(tmp_path: Path) -> None:
    listing = list_images(tiny_sets.msmt17(tmp_path), version="V1", validation=True)
    persons = {
        role: {entry.person_id for entry in listing.entries if entry.role == role} for role in ("train", "query")
    }
    assert persons == {"train": {1, 2}, "query": {TRAIN_IDENTITIES + 1, TRAIN_IDENTITIES + 2}}
    assert [entry.camera_id for entry in listing.entries] == [1, 15, 3, 2, 2, 5, 7]
    assert listing.entries[0].path == "train/0000/0000_000_01_0303morning_0015_0.jpg"
    assert listing.entries[-1].path == "test/0001/0001_001_07_0302noon_0008_0.jpg"


def test_validation_images_train_when_asked_for(tmp_path: Path) -> None:
    folder = tiny_sets.msmt17(tmp_path)
    both, alone = (list_images(folder, version="V1", validation=validation) for validation in (True, False))
    assert len(both.entries) == len(alone.entries) + 1
    assert (both.name, alone.name) == ("msmt17", "msmt17_without_val")


@pytest.mark.parametrize(("version", "other"), [("V1", "V2"), ("V2", "V1")])
def test_the_other_version_is_told_apart(version: str, other: str, tmp_path: Path) -> None:
    folder = tiny_sets.msmt17(tmp_path, other)
    message = refused(folder, version=version)
    assert f"this is MSMT17_{other}" in message
    assert f"give the folder MSMT17_{version}" in message


def test_faces_or_none_make_another_name(tmp_path: Path) -> None:
    names = [
        list_images(tiny_sets.msmt17(tmp_path, version), version=version, validation=True).name
        for version in ("V1", "V2")
    ]
    assert names == ["msmt17", "msmt17_v2"]


def test_the_conversion_counts_identities_alike_and_says_what_it_does_not_know(tmp_path: Path) -> None:
    listing = list_images(tiny_sets.msmt17_converted(tmp_path), version="V1", validation=True)
    assert [entry.person_id for entry in listing.entries] == [1, 2, TRAIN_IDENTITIES + 1, TRAIN_IDENTITIES + 1]
    assert [entry.camera_id for entry in listing.entries] == [1, 15, 2, 5]
    table, notes = tabulate(listing, is_whole=False)
    assert len(table) == 4
    assert notes == ["converted to Market-1501's layout, which does not tell V1 from V2: taken for V1 as given"]


def test_the_conversion_has_no_training_without_validation(tmp_path: Path) -> None:
    assert "set settings.validation to true" in refused(tiny_sets.msmt17_converted(tmp_path), validation=False)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0000/0000_000_01.jpg", "list_train.txt, line 3: expected <path> <label>, got '0000/0000_000_01.jpg'"),
        ("../0000_000_01_0303morning_0015_0.jpg 0", "leads out of the data folder"),
        ("/0000/0000_000_01_0303morning_0015_0.jpg 0", "leads out of the data folder"),
        ("0000/person.jpg 0", "list_train.txt: 0000/person.jpg: not named as <identity>/"),
        ("0001/0001_003_01_0303morning_0015_0.jpg 0", "listed as identity 0, named as 1"),
        ("1041/1041_003_01_0303morning_0015_0.jpg 1041", "identity 1041, outside 0..1040"),
    ],
)
def test_a_wrong_line_is_named(line: str, problem: str, tmp_path: Path) -> None:
    (message,) = spoiled(tmp_path, "list_train.txt", line).problems
    assert problem in message


def test_a_camera_out_of_range_a_file_listed_twice_and_one_that_is_absent_are_named(tmp_path: Path) -> None:
    wrong = "0000/0000_009_16_0303morning_0015_0.jpg"
    tiny_sets.image(tmp_path / "MSMT17_V1" / "test" / wrong)
    listing = spoiled(tmp_path, "list_gallery.txt", f"{wrong} 0\n0000/0000_001_05_0114afternoon_0002_0.jpg 0")
    (listing.folder / listing.entries[0].path).unlink()
    with pytest.raises(DataError) as error:
        tabulate(listing, is_whole=False)
    assert [line.split(" (person")[0] for line in error.value.problems] == [
        f"{listing.entries[0].path}: no such file",
        "test/0000/0000_001_05_0114afternoon_0002_0.jpg: listed twice",
        f"test/{wrong}: camera_id outside 1..15",
    ]


def test_counts_of_the_literature_are_notes_and_those_of_the_makers_must_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_sets.msmt17(tmp_path)
    monkeypatch.setitem(PUBLISHED, False, Counts(7, 1_041, 2, 2, 2, 2))
    _, notes = tabulate(list_images(folder, version="V1", validation=False), is_whole=True)
    assert [note.split(" (")[0] for note in notes] == [
        "train images: 7 published, 2 here",
        "train identities: 1,041 published, 2 here",
    ]
    monkeypatch.setitem(PUBLISHED, False, Counts(2, 2, 3, 2, 2, 2))
    with pytest.raises(DataError, match="query images: 3 published, 2 here"):
        tabulate(list_images(folder, version="V1", validation=False), is_whole=True)
    assert all(name in Counts.__dataclass_fields__ for names in UNVERIFIED_COUNTS.values() for name in names)
