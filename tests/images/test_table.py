import pickle
from pathlib import Path

import pandas as pd
import pytest

from pipeline.images.table import DataError, count, fingerprint, read, unmatched_queries, write


def spoil(table: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    spoiled = table.copy()
    spoiled.loc[row, column] = value
    return spoiled


def test_a_table_comes_back_from_its_file_as_it_was(table: pd.DataFrame, tmp_path: Path) -> None:
    write(table, tmp_path / "table.parquet")
    pd.testing.assert_frame_equal(read(tmp_path / "table.parquet"), table)


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"name": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match="column path: expected str, got none"):
        read(tmp_path / "other.parquet")


def test_queries_without_a_match_are_found(table: pd.DataFrame) -> None:
    assert unmatched_queries(table)["path"].tolist() == ["query/0003_c6s1_001051_00.jpg"]
    assert unmatched_queries(table[table["role"] == "train"]).empty


def test_sizes_count_distractors_as_images_and_not_as_an_identity(table: pd.DataFrame) -> None:
    sizes = count(table)
    assert (sizes.gallery_images, sizes.gallery_identities) == (4, 2)
    assert (sizes.train_images, sizes.train_identities) == (3, 2)


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
