from pathlib import Path

import pytest

from pipeline.datasets.readers.image_list import list_images
from pipeline.datasets.recognition import Kind, Understood, as_table, find_camera, number_cameras, understand
from pipeline.images.table import DataError
from tests.datasets import tiny_sets

PERSONS = ("anna", "ben", "carla", "dora", "emil")


def lay(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    return folder


def each(pattern: str) -> list[str]:
    """Returns a path for each of five persons, three cameras and two shots."""
    return [
        pattern.format(person=person, number=number, camera=camera, shot=shot)
        for number, person in enumerate(PERSONS)
        for camera in (1, 2, 3)
        for shot in (1, 2)
    ]


def told(understood: Understood) -> set[tuple[str, str]]:
    return {(one.person, one.camera) for one in understood.seen}


@pytest.mark.parametrize(
    ("pattern", "kind", "camera"),
    [
        ("{person}/door_c{camera}_{shot}.jpg", "persons", r"_c(\d+)"),
        ("{person}/cam{camera}/{shot}.webp", "persons", r"(?i)cam(?:era)?[ _-]?(\d+)"),
        ("{person}/{camera}/{shot}.jpg", "persons", r"^(\d+)/"),
        ("{person}/{shot}_{camera}.jpg", "persons", None),
        ("{number:04d}/{number:04d}_c{camera}s1_{shot}.jpg", "persons", r"_c(\d+)"),
        ("cam{camera}/{person}/{shot}.png", "cameras", None),
        ("Camera_{camera}/{number}/{shot}.png", "cameras", None),
        ("{number}_c{camera}s1_{shot}.jpg", "names", None),
        ("{number:06d}_c{camera:03d}_{shot}.tiff", "names", None),
        ("day{shot}/{number}_c{camera}.JPG", "names", None),
    ],
)
def test_a_folder_is_taken_for_what_its_paths_tell(
    pattern: str, kind: Kind, camera: str | None, tmp_path: Path
) -> None:
    understood = understand(lay(tmp_path, *each(pattern), "notes.txt", ".DS_Store"))
    assert (understood.kind, understood.camera, understood.others) == (kind, camera, ["notes.txt"])
    assert len(understood.seen) == 30
    persons, cameras = ({pair[side] for pair in told(understood)} for side in (0, 1))
    assert len(persons) == 5
    assert len(cameras) == (3 if kind != "persons" or camera else 1)


@pytest.mark.parametrize(
    "pattern", ["{person}{number}{camera}{shot}.jpg", "cam{camera}/{person}_{shot}.jpg", "all/{person}_{shot}.jpg"]
)
def test_crops_that_tell_nobodys_name_are_not_guessed(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing tells who is on its \d+ images .* put those of each person"):
        understand(lay(tmp_path, *each(pattern)))


def test_what_could_be_persons_or_cameras_is_asked_and_the_answer_is_taken(tmp_path: Path) -> None:
    paths = [path.replace("/1/", "/door/").replace("/2/", "/yard/") for path in each("x/{camera}/{person}/{shot}.jpg")]
    folder = lay(tmp_path, *paths) / "x"
    with pytest.raises(DataError, match=r"could be taken in 2 ways .*--as persons: .*--as cameras: a folder for"):
        understand(folder)
    assert told(understand(folder, "cameras")) == {
        (person, camera) for person in PERSONS for camera in ("door", "yard", "3")
    }
    assert {person for person, _ in told(understand(folder, "persons"))} == {"door", "yard", "3"}
    with pytest.raises(DataError, match="is not names that tell person and camera"):
        understand(folder, "names")


def test_a_table_is_left_to_its_reader_and_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no images: expected \.jpg, .*, got \.heic, \.txt"):
        understand(lay(tmp_path, "a/1.heic", "notes.txt"))
    with pytest.raises(DataError, match="no such folder"):
        understand(tmp_path / "absent")
    assert understand(lay(tmp_path, "images.csv")).kind == "table"


def test_a_date_is_no_camera_and_neither_is_a_number_that_tells_persons_or_images_apart() -> None:
    def camera(pattern: str) -> str | None:
        images = [(place, person, shot) for place, person in enumerate(PERSONS) for shot in (1, 2)]
        named = {pattern.format(person=person, place=place, shot=shot): person for place, person, shot in images}
        return find_camera(named)

    assert camera("{person}/x_c{shot}.jpg") == r"_c(\d+)"
    assert camera("{person}/c2024013{shot}_9.jpg") is None
    assert camera("{person}/x_c{place}_{shot}.jpg") is None
    assert camera("{person}/x_c{place}{shot}.jpg") is None


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        ({""}, {}),
        ({"cam3", "cam1"}, {"cam1": 1, "cam3": 3}),
        ({"cam0", "cam1"}, {"cam0": 1, "cam1": 2}),
        ({"yard", "door"}, {"door": 1, "yard": 2}),
        ({"a1", "b1"}, {"a1": 1, "b1": 2}),
        ({"c192168001001", "c192168001002"}, {"c192168001001": 1, "c192168001002": 2}),
    ],
)
def test_cameras_are_numbered_from_1_by_their_names_where_those_tell_numbers(
    names: set[str], numbers: dict[str, int]
) -> None:
    assert number_cameras(names) == numbers


def test_the_table_of_a_folder_of_cameras_is_read_as_it_was_understood(tmp_path: Path) -> None:
    for path in each("images/cam{camera}/{person}/{shot}.jpg"):
        tiny_sets.image(tmp_path / path)
    table = as_table(understand(tmp_path / "images"), "images")
    table.to_csv(tmp_path / "images.csv", index=False)
    listing = list_images(tmp_path, train_share=0.5, seed=1, zero="distractor")
    assert {(entry.path.split("/")[2], entry.person_id) for entry in listing.entries} == set(
        zip(PERSONS, range(1, 6), strict=True)
    )
    assert all(entry.path.split("/")[1] == f"cam{entry.camera_id}" for entry in listing.entries)


def test_the_parts_of_market1501_keep_their_roles_numbers_and_distractors(tmp_path: Path) -> None:
    train = [f"bounding_box_train/{person}_c{camera}s1_1.png" for person in (1, 2) for camera in (1, 2)]
    test = ["query/30_c1s1_1.png", "bounding_box_test/30_c2s1_1.png"]
    others = ["bounding_box_test/-1_c1s1_1.png", "bounding_box_test/0000_c1s1_1.png"]
    table = as_table(understand(lay(tmp_path, *train, *test, *others)), "images")
    rows = {row.path.rpartition("/")[2]: (row.person_id, row.camera_id, row.role) for row in table.itertuples()}
    assert rows == {
        **{f"{person}_c{camera}s1_1.png": (person, camera, "train") for person in (1, 2) for camera in (1, 2)},
        "0000_c1s1_1.png": (0, 1, "gallery"),
        "30_c1s1_1.png": (30, 1, "query"),
        "30_c2s1_1.png": (30, 2, "gallery"),
    }


def test_folders_that_divide_persons_are_a_column(tmp_path: Path) -> None:
    folder = lay(tmp_path, *(f"{'train' if person < 'c' else 'test'}/{person}/1.jpg" for person in PERSONS))
    understood = understand(folder)
    assert (understood.kind, understood.is_plain) == ("persons", False)
    table = as_table(understood, "images")
    assert dict(zip(table["path"].str.split("/").str[2], table["split"], strict=True)) == {
        person: "train" if person < "c" else "test" for person in PERSONS
    }
