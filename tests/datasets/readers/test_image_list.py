from pathlib import Path

import pandas as pd
import pytest

from pipeline.datasets.listing import Listing
from pipeline.datasets.readers.image_list import Zero, list_images
from pipeline.datasets.validation.examination import tabulate
from pipeline.images.table import DataError, unmatched_queries
from tests.datasets import tiny_sets

COLUMNS = ["path", "person_id", "camera_id"]
ROWS = [
    (f"photos/{person}_{camera}_{shot}.jpg", person, camera)
    for person in (1, 2, 3, 4)
    for camera in (1, 2)
    for shot in (1, 2)
]


@pytest.fixture
def images(tmp_path: Path) -> pd.DataFrame:
    """The rows of a table whose images are there."""
    for path, _, _ in ROWS:
        tiny_sets.image(tmp_path / path)
    return pd.DataFrame(ROWS, columns=COLUMNS)


def read(table: pd.DataFrame, folder: Path, kind: str = "csv", zero: Zero = "distractor") -> Listing:
    file = folder / f"images.{kind}"
    table.to_csv(file, index=False) if kind == "csv" else table.to_parquet(file, index=False)
    return list_images(folder, train_share=0.5, seed=1, zero=zero)


def refusal(content: bytes, folder: Path) -> list[str]:
    """Returns what is said of a file that is no table of images."""
    (folder / "images.csv").write_bytes(content)
    with pytest.raises(DataError) as error:
        list_images(folder, train_share=0.5, seed=1, zero="distractor")
    return error.value.problems


def problems(table: pd.DataFrame, folder: Path) -> list[str]:
    with pytest.raises(DataError) as error:
        tabulate(read(table, folder), is_whole=False)
    return error.value.problems


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_of_paths_identities_and_cameras_is_enough(kind: str, images: pd.DataFrame, tmp_path: Path) -> None:
    listing = read(images, tmp_path, kind)
    table, _ = tabulate(listing, is_whole=False)
    assert table[COLUMNS].to_numpy().tolist() == images.to_numpy().tolist()
    assert table.groupby("split")["person_id"].nunique().to_dict() == {"train": 2, "test": 2}
    assert set(table["modality"]) == {"visible"}
    assert listing.protocol == "market"
    assert unmatched_queries(table).empty


def test_cameras_may_be_left_out(images: pd.DataFrame, tmp_path: Path) -> None:
    listing = read(images.drop(columns="camera_id"), tmp_path)
    table, _ = tabulate(listing, is_whole=False)
    assert (listing.protocol, set(table["camera_id"]), (table["role"] == "query").sum()) == ("no_cameras", {0}, 2)


def test_a_split_is_kept_and_queries_are_chosen_in_it(images: pd.DataFrame, tmp_path: Path) -> None:
    split = ["train" if person < 4 else "test" for person in images["person_id"]]
    table, _ = tabulate(read(images.assign(split=split), tmp_path), is_whole=False)
    assert table["split"].tolist() == split
    assert table.loc[table["split"] == "test", "role"].tolist() == ["query", "gallery", "query", "gallery"]


def test_roles_and_modalities_are_kept(images: pd.DataFrame, tmp_path: Path) -> None:
    role = ["train"] * 8 + ["gallery", "gallery", "query", "query"] * 2
    modality = ["infrared" if camera == 2 else "visible" for camera in images["camera_id"]]
    table, _ = tabulate(read(images.assign(role=role, modality=modality), tmp_path), is_whole=False)
    assert (table["role"].tolist(), table["modality"].tolist()) == (role, modality)


def test_distractors_are_tested(images: pd.DataFrame, tmp_path: Path) -> None:
    images.loc[images["person_id"] == 1, "person_id"] = 0
    table, _ = tabulate(read(images, tmp_path), is_whole=False)
    assert table.loc[table["person_id"] == 0, "role"].tolist() == ["gallery"] * 4


def test_persons_that_count_from_0_are_told_from_distractors(images: pd.DataFrame, tmp_path: Path) -> None:
    from_zero = images.assign(person_id=images["person_id"] - 1)
    as_distractors = read(from_zero, tmp_path)
    assert as_distractors.notes == [
        "person_id 0 has 4 images, which are distractors and show none of the persons; where 0 is a person, set "
        "reader.zero: person"
    ]
    persons = read(from_zero, tmp_path, zero="person")
    assert {entry.person_id for entry in persons.entries} == {1, 2, 3, 4}
    assert persons.entries == read(images, tmp_path).entries
    assert persons.notes == ["person_id 0 is a person (4 images): all ids are stored one higher"]
    images.loc[0, "person_id"] = 0
    assert read(images, tmp_path).notes == [], "one image of nobody is nothing to wonder about"


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("person_id", "anna", "column person_id: expected whole numbers"),
        ("person_id", 1.5, "column person_id: expected whole numbers"),
        ("camera_id", None, "column camera_id: empty in row 1, 2, 3, 4, 5 and 11 more"),
        ("camera", 1, "column camera: unknown (known: path, person_id, camera_id, modality, split, role)"),
        ("split", "val", "column split: neither train nor test in row 1, 2, 3, 4, 5 and 11 more"),
        ("modality", "thermal", "modality is none of visible, infrared"),
        ("role", "probe", "column role: none of train, query, gallery in row 1, 2"),
        ("person_id", -1, "column person_id: below 0 in row 1, 2, 3"),
        ("camera_id", 2, "no tested identity can be looked for: that needs two images of it, by two of the cameras 2"),
        ("path", "../secret.jpg", "column path: expected paths from the table's folder on, divided by /, got '../"),
        ("path", "photos\\1.jpg", r"got 'photos\\1.jpg' in row 1, 2, 3, 4, 5 and 11 more"),
        ("path", 17, "17: no such file"),
        ("camera_id", 65_536, "column camera_id: expected 65,535 or less, got 65536 in row 1, 2, 3, 4, 5 and 11 more"),
        ("camera_id", 2**80, f"column camera_id: expected 65,535 or less, got {2**80} in row 1, 2"),
        ("person_id", "9" * 5000, "column person_id: expected 999,999,999,999,999,999 or less, got 999"),
        ("path", "absent.jpg", "absent.jpg: no such file"),
        ("path", "photos/1_1_1.jpg", "photos/1_1_1.jpg: listed twice"),
    ],
)
def test_a_column_that_does_not_fit_is_named(
    column: str, value: object, problem: str, images: pd.DataFrame, tmp_path: Path
) -> None:
    assert any(problem in line for line in problems(images.assign(**{column: value}), tmp_path))


def test_one_image_without_a_camera_among_others_is_named(images: pd.DataFrame, tmp_path: Path) -> None:
    images.loc[0, "camera_id"] = 0
    (message,) = problems(images, tmp_path)
    assert message.startswith("photos/1_1_1.jpg: camera_id outside 1..2")


def test_a_split_and_roles_that_contradict_each_other_are_named(images: pd.DataFrame, tmp_path: Path) -> None:
    (message,) = problems(images.assign(split="train", role="query"), tmp_path)
    assert message.startswith("column role: does not go with split in row 1, 2, 3")


def test_a_person_on_both_sides_is_named(images: pd.DataFrame, tmp_path: Path) -> None:
    found = problems(images.assign(split=["train", "test"] * 8), tmp_path)
    assert len([line for line in found if "is in both train and test" in line]) == 4


def test_missing_columns_and_a_missing_table_are_named(images: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected images\.parquet or images\.csv in it\. Put images\.csv"):
        list_images(tmp_path, train_share=0.5, seed=1, zero="distractor")
    assert problems(images[["path"]], tmp_path) == ["column person_id: missing"]


def test_a_table_as_spreadsheets_write_it_is_told_how_columns_are_divided(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_text("path;person_id\na.jpg;1\n")
    with pytest.raises(DataError, match="its columns are divided by ';', expected ','"):
        list_images(tmp_path, train_share=0.5, seed=1, zero="distractor")


def test_rows_that_are_longer_than_the_header_are_not_read_one_column_off(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_text("path,person_id\na.jpg,1,2\nb.jpg,2,1\n")
    with pytest.raises(DataError, match="its rows have more values than its first line has names of columns"):
        list_images(tmp_path, train_share=0.5, seed=1, zero="distractor")


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02\n", b'path,person_id\n"a'])
def test_a_file_that_is_no_table_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"images\.csv: \d problem"):
        tabulate(list_images(tmp_path, train_share=0.5, seed=1, zero="distractor"), is_whole=False)


def test_text_of_another_program_is_told_how_to_be_saved(tmp_path: Path) -> None:
    advice = "save it as UTF-8, which spreadsheets call CSV UTF-8"
    rows = "path,person_id\nRen\xe9e.jpg,1\n"
    assert refusal(rows.encode("cp1252"), tmp_path) == [f"not in UTF-8, from its byte 18 on: {advice}"]
    assert refusal(rows.encode("utf-16"), tmp_path) == [f"not in UTF-8, from its byte 0 on: {advice}"]


def test_a_table_of_nothing_but_names_of_columns_is_named(tmp_path: Path) -> None:
    expected = ["it has no rows below the names of its columns: write one for each image"]
    assert refusal(b"path,person_id\n", tmp_path) == expected
    assert refusal(b"path,person_id", tmp_path) == expected


def test_blank_rows_and_words_for_nothing_are_named(tmp_path: Path) -> None:
    rows = b"path,person_id,camera_id\na.jpg,1,1\n,,\nNA.jpg,NA,1\nb.jpg,2,\n , ,\n"
    assert refusal(rows, tmp_path) == [
        "nothing in row 2, 5: remove what is blank",
        "column person_id: expected whole numbers, got 'NA' in row 3",
        "column camera_id: empty in row 4",
    ]


def test_a_column_that_only_counts_rows_is_named_or_left_out(images: pd.DataFrame, tmp_path: Path) -> None:
    images.to_csv(tmp_path / "images.csv")
    assert refusal((tmp_path / "images.csv").read_bytes(), tmp_path) == [
        "column 1 has no name: remove it; pandas leaves it out by index=False"
    ]
    (tmp_path / "images.csv").unlink()
    images[::-1].to_parquet(tmp_path / "images.parquet")
    listing = list_images(tmp_path, train_share=0.5, seed=1, zero="distractor")
    assert [entry.path for entry in listing.entries] == images["path"].tolist()[::-1]
    images.set_index("path").to_parquet(tmp_path / "images.parquet")
    listing = list_images(tmp_path, train_share=0.5, seed=1, zero="distractor")
    assert [entry.path for entry in listing.entries] == images["path"].tolist()


def test_marks_and_zeros_in_front_are_read(images: pd.DataFrame, tmp_path: Path) -> None:
    expected = read(images, tmp_path).entries
    numbered = images.assign(person_id=[f"{person:04d}" for person in images["person_id"]])
    content = b"\xef\xbb\xbf" + numbered.to_csv(index=False, lineterminator="\r\n").encode() + b"\r\n\r\n"
    (tmp_path / "images.csv").write_bytes(content)
    assert list_images(tmp_path, train_share=0.5, seed=1, zero="distractor").entries == expected


@pytest.mark.parametrize("value", [1.5, True, 2**63, "one"])
def test_numbers_of_a_parquet_file_are_whole_and_not_too_large(
    value: object, images: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="column person_id: expected "):
        read(images.assign(person_id=value), tmp_path, "parquet")


def test_a_cell_of_a_parquet_file_that_is_empty_is_named(images: pd.DataFrame, tmp_path: Path) -> None:
    images["camera_id"] = images["camera_id"].astype("Int64").where(images["camera_id"].index != 1)
    assert problems_of_parquet(images, tmp_path) == ["column camera_id: empty in row 2"]
    images["path"] = images["path"].where(images["path"].index != 0)
    assert problems_of_parquet(images, tmp_path) == ["column path: empty in row 1", "column camera_id: empty in row 2"]


def problems_of_parquet(images: pd.DataFrame, folder: Path) -> list[str]:
    with pytest.raises(DataError) as error:
        read(images, folder, "parquet")
    return error.value.problems
