from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.datasets.readers.dukemtmc import list_images
from pipeline.datasets.validation.examination import tabulate
from pipeline.images.table import DataError, unmatched_queries
from tests.datasets import tiny_sets
from tests.datasets.reader_sets import Set

SETS = {
    "dukemtmc": Set(
        "dukemtmc", tiny_sets.dukemtmc, {}, ("bounding_box_train", "query", "bounding_box_test"), (1, 1, 2)
    ),
}

FILES = [
    "bounding_box_train/0001_c2_f0046182.jpg",
    "query/0005_c2_f0046985.jpg",
    "bounding_box_test/0005_c5_f0051341.jpg",
    "bounding_box_test/7000_c8_f0000001.jpg",
]


@pytest.fixture
def duke(tmp_path: Path, jpeg: Callable[..., None]) -> Path:
    for seed, name in enumerate(FILES):
        jpeg(tmp_path / name, seed)
    return tmp_path


def test_distractors_keep_the_identities_they_have(duke: Path) -> None:
    table, notes = tabulate(list_images(duke), is_whole=False)
    assert notes == []
    assert table["person_id"].tolist() == [1, 5, 5, 7000]
    assert table["camera_id"].tolist() == [2, 2, 5, 8]
    assert unmatched_queries(table).empty


def test_there_is_no_junk_to_drop(duke: Path, jpeg: Callable[..., None]) -> None:
    jpeg(duke / "bounding_box_test" / "-1_c1_f0000001.jpg")
    with pytest.raises(DataError, match=r"-1_c1_f0000001\.jpg: person_id below 0"):
        tabulate(list_images(duke), is_whole=False)


def test_counts_are_held_against_the_published_ones(duke: Path) -> None:
    with pytest.raises(DataError, match="gallery identities: 1,110 published, 2 here"):
        tabulate(list_images(duke), is_whole=True)


def test_data_that_is_not_there_says_that_it_was_withdrawn(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"never downloaded\. It was withdrawn by its makers .*data/raw/dukemtmc"):
        list_images(tmp_path / "dukemtmc")
