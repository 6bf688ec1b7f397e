import pickle
from pathlib import Path

import pandas as pd
import pytest

from pipeline.data.table import DataError, count, faults, fingerprint, read, summary, unmatched_queries, write


def spoil(table: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    spoiled = table.copy()
    spoiled.loc[row, column] = value
    return spoiled


def test_a_good_table_has_no_faults(table: pd.DataFrame) -> None:
    assert faults(table, num_cameras=6) == []


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (0, "person_id", -1, "person_id below 0"),
        (0, "person_id", 0, "distractors, which belong in the gallery"),
        (0, "person_id", 1, "person_id 1 is in both train and test"),
        (0, "camera_id", 0, "camera_id outside 1..6"),
        (0, "camera_id", 7, "camera_id outside 1..6"),
        (0, "modality", "thermal", "modality is none of visible, infrared"),
        (0, "role", "probe", "role is none of train, query, gallery"),
        (0, "split", "test", "split does not go with its role"),
        (1, "path", "bounding_box_train/0002_c1s1_000451_03.jpg", "listed twice"),
    ],
)
def test_a_fault_names_the_file_and_the_rule(
    table: pd.DataFrame, row: int, column: str, value: object, message: str
) -> None:
    found = faults(spoil(table, row, column, value), num_cameras=6)
    assert len([line for line in found if message in line and "0002_c1s1_000451_03.jpg" in line]) == 1


def test_wrong_columns_are_named() -> None:
    found = faults(pd.DataFrame({"path": ["a"], "person_id": [1.5], "age": [7]}), num_cameras=6)
    assert "column person_id: expected int64, got float64" in found
    assert "column camera_id: expected int64, got none" in found
    assert "column age: unknown" in found


def test_a_table_comes_back_from_its_file_as_it_was(table: pd.DataFrame, tmp_path: Path) -> None:
    write(table, tmp_path / "table.parquet")
    pd.testing.assert_frame_equal(read(tmp_path / "table.parquet"), table)


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"name": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match="column path: expected str, got none"):
        read(tmp_path / "other.parquet")


def test_queries_without_a_match_are_counted_and_named(table: pd.DataFrame) -> None:
    assert unmatched_queries(table)["path"].tolist() == ["query/0003_c6s1_001051_00.jpg"]
    text = summary(table)
    assert "1 queries have no image of the same identity by another camera" in text
    assert "query/0003_c6s1_001051_00.jpg" in text


def test_sizes_count_distractors_as_images_and_not_as_an_identity(table: pd.DataFrame) -> None:
    sizes = count(table)
    assert (sizes.gallery_images, sizes.gallery_identities) == (4, 2)
    assert (sizes.train_images, sizes.train_identities) == (3, 2)
    assert "gallery: 4 images, 2 identities, 3 cameras, 1 distractors" in summary(table)


def test_the_fingerprint_knows_contents_and_use_but_neither_order_nor_names(table: pd.DataFrame) -> None:
    renamed = table.sample(frac=1, random_state=0).assign(path=[f"{row}.jpg" for row in range(len(table))])
    assert fingerprint(renamed) == fingerprint(table)
    for column, value in [("person_id", 9), ("camera_id", 5), ("role", "gallery"), ("sha256", "0"), ("modality", "x")]:
        assert fingerprint(spoil(table, 0, column, value)) != fingerprint(table)


def test_an_error_lists_some_problems_and_counts_all() -> None:
    error = DataError(Path("folder"), [f"file {number}: bad" for number in range(100)])
    assert "folder: 100 problems" in str(error)
    assert "file 19: bad" in str(error)
    assert "file 20: bad" not in str(error)
    assert "and 80 more" in str(error)
    assert len(error.problems) == 100
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
