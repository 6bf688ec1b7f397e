from pathlib import Path
from typing import Any

import pytest

from pipeline.datasets.listing import Listing
from pipeline.datasets.readers.folder import list_images
from pipeline.datasets.validation.examination import tabulate
from pipeline.images.table import DataError, unmatched_queries
from tests.datasets import tiny_sets


def read(folder: Path, **changes: Any) -> Listing:
    return list_images(folder, **({"train_share": 0.5, "seed": 1, "camera": None} | changes))


def test_identities_are_folders_in_the_order_of_their_names(tmp_path: Path) -> None:
    table, notes = tabulate(read(tiny_sets.people_folder(tmp_path)), is_whole=False)
    assert notes == []
    persons = {path.split("/")[0]: person for path, person in zip(table["path"], table["person_id"], strict=True)}
    assert persons == {"0042": 1, "anna": 2, "ben": 3, "carla": 4, "dora": 5, "emil": 6}
    assert table.groupby("split")["person_id"].nunique().to_dict() == {"train": 3, "test": 3}


def test_without_cameras_each_tested_identity_is_looked_for_once(tmp_path: Path) -> None:
    listing = read(tiny_sets.people_folder(tmp_path))
    table, _ = tabulate(listing, is_whole=False)
    assert (listing.protocol, set(table["camera_id"])) == ("no_cameras", {0})
    assert (table["role"] == "query").sum() == 3
    assert unmatched_queries(table).empty


def test_cameras_are_read_where_a_pattern_tells_them(tmp_path: Path) -> None:
    listing = read(tiny_sets.people_folder(tmp_path), camera=r"_c(\d+)")
    table, _ = tabulate(listing, is_whole=False)
    assert (listing.protocol, listing.num_cameras) == ("market", 2)
    assert table.loc[table["path"].str.startswith("anna/"), "camera_id"].tolist() == [1, 1, 2, 2]
    assert (table["role"] == "query").sum() == 6, "one for each camera"


def test_a_camera_may_be_a_folder_of_the_identitys(tmp_path: Path) -> None:
    for name in ("a/1/x.jpg", "a/2/x.jpg", "b/1/x.jpg", "b/3/x.jpg"):
        tiny_sets.image(tmp_path / "mine" / name)
    listing = read(tmp_path / "mine", camera=r"^(\d+)/")
    assert [entry.camera_id for entry in listing.entries] == [1, 2, 1, 3]


def test_more_images_of_a_person_move_nobody_to_the_other_side(tmp_path: Path) -> None:
    folder = tiny_sets.people_folder(tmp_path)
    before = {entry.path: entry.role == "train" for entry in read(folder).entries}
    tiny_sets.image(folder / "anna" / "another.png")
    after = {entry.path: entry.role == "train" for entry in read(folder).entries}
    assert {path: after[path] for path in before} == before


def test_what_is_no_image_of_an_identity_is_named(tmp_path: Path) -> None:
    folder = tiny_sets.people_folder(tmp_path)
    tiny_sets.image(folder / "somebody.jpg")
    (folder / "anna" / "notes.txt").write_text("")
    for litter in (
        *("anna/Thumbs.db", "anna/._door.jpg", "anna/.DS_Store", ".unpacked.json", "__MACOSX/anna.jpg"),
        *("$RECYCLE.BIN/$R1.jpg", "@eaDir/anna.jpg", "anna/@eaDir/door.jpg", "System Volume Information/a.jpg"),
    ):
        (folder / litter).parent.mkdir(parents=True, exist_ok=True)
        (folder / litter).write_text("")
    assert read(folder).problems == [
        "anna/notes.txt: named as none of .jpg, .jpeg, .png, .bmp, .webp, .tif, .tiff",
        "somebody.jpg: in no identity's folder",
    ]
    tiny_sets.image(folder / "anna" / "camera_three.jpg")
    assert (
        r"anna/camera_three.jpg: tells no number of a camera, by settings.camera: _c(\d+)"
        in read(folder, camera=r"_c(\d+)").problems
    )


def test_a_person_whose_folder_is_a_link_is_one_as_any_other_and_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    folder = tiny_sets.people_folder(tmp_path)
    before = read(folder).entries
    (folder / "anna").rename(tmp_path / "anna")
    (folder / "anna").symlink_to(tmp_path / "anna")
    assert read(folder).entries == before
    (folder / "zoe").symlink_to(tmp_path / "nobody")
    assert read(folder).problems == [f"zoe: a link to {tmp_path}/nobody, where nothing is: mend or remove it"]


def test_a_number_that_is_no_cameras_is_named(tmp_path: Path) -> None:
    folder = tiny_sets.people_folder(tmp_path)
    (folder / "anna" / "door_c1_1.jpg").rename(folder / "anna" / "door_c20240131120000123456_1.jpg")
    assert read(folder, camera=r"_c(\d+)").problems == [
        "anna/door_c20240131120000123456_1.jpg: tells the camera 20240131120000123456, expected 65,535 or less"
    ]


def test_a_pattern_that_matches_no_number_is_a_problem_of_every_image(tmp_path: Path) -> None:
    folder = tiny_sets.people_folder(tmp_path)
    problems = read(folder, camera=r"_(c)\d").problems
    assert len(problems) == 24
    assert problems[0] == r"0042/door_c1_1.jpg: tells no number of a camera, by settings.camera: _(c)\d"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"camera": "_c("}, r"settings\.camera: '_c\(' is no regular expression"),
        ({"camera": "_c"}, r"settings\.camera: expected one group, which matches the camera's number, got '_c'"),
        ({"train_share": 0.0}, r"settings\.train_share: expected a share between 0 and 1, got 0\.0"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read(tiny_sets.people_folder(tmp_path), **changes)


def test_a_folder_that_is_not_there_says_what_to_put_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder\. Put a folder for each identity there"):
        read(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images"):
        tabulate(read(tmp_path / "empty"), is_whole=False)


def test_a_folder_too_high_is_answered_with_the_right_one(tmp_path: Path) -> None:
    folder = tiny_sets.people_folder(tmp_path)
    with pytest.raises(DataError) as error:
        read(tmp_path)
    (message,) = error.value.problems
    assert message.startswith(
        "expected folders for two persons or more, got my_people alone; if 0042, anna, ben and so"
    )
    assert message.endswith(f"are the persons, give {folder}")
    tiny_sets.image(tmp_path / "lonely" / "anna" / "1.jpg")
    with pytest.raises(DataError, match=r"got anna alone$"):
        read(tmp_path / "lonely")


def test_a_split_is_not_taken_for_two_persons(tmp_path: Path) -> None:
    for side in ("Train", "test"):
        tiny_sets.people_folder(tmp_path).rename(tmp_path / side)
        (tmp_path / "sides").mkdir(exist_ok=True)
        (tmp_path / side).rename(tmp_path / "sides" / side)
    with pytest.raises(DataError) as error:
        read(tmp_path / "sides")
    assert [line.split(",")[0] for line in error.value.problems] == [
        f"{side}: a folder for a person was expected" for side in ("Train", "test")
    ]
