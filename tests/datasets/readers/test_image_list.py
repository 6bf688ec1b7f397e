from pathlib import Path

import pandas as pd
import pytest

from pipeline.datasets.listing import Listing
from pipeline.datasets.readers.image_list import list_images
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


def read(table: pd.DataFrame, folder: Path, kind: str = "csv") -> Listing:
    file = folder / f"images.{kind}"
    table.to_csv(file, index=False) if kind == "csv" else table.to_parquet(file, index=False)
    return list_images(folder, train_share=0.5, seed=1)


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
        ("path", 17, "column path: expected text, got for example "),
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
        list_images(tmp_path, train_share=0.5, seed=1)
    assert problems(images[["path"]], tmp_path) == ["column person_id: missing"]


def test_a_table_as_spreadsheets_write_it_is_told_how_columns_are_divided(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_text("path;person_id\na.jpg;1\n")
    with pytest.raises(DataError, match="its columns are divided by ';', expected ','"):
        list_images(tmp_path, train_share=0.5, seed=1)


def test_rows_that_are_longer_than_the_header_are_not_read_one_column_off(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_text("path,person_id\na.jpg,1,2\nb.jpg,2,1\n")
    with pytest.raises(DataError, match="its rows have more values than its first line has names of columns"):
        list_images(tmp_path, train_share=0.5, seed=1)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02\n", b'path,person_id\n"a'])
def test_a_file_that_is_no_table_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"images\.csv: \d problem"):
        tabulate(list_images(tmp_path, train_share=0.5, seed=1), is_whole=False)
