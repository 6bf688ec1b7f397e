from pathlib import Path

import pytest

from pipeline.datasets.readers.synergyreid import list_images
from pipeline.datasets.validation.examination import tabulate
from pipeline.images.table import DataError, unmatched_queries
from tests.datasets import tiny_sets
from tests.datasets.reader_sets import Set

SETS = {
    "synergyreid": Set(
        "synergyreid", tiny_sets.synergyreid, {}, ("reid_training", "reid_test/query", "reid_test/gallery"), (2, 1, 2)
    ),
}


def test_identities_count_from_1_and_the_gallery_has_a_camera_of_its_own(tmp_path: Path) -> None:
    table, _ = tabulate(list_images(tiny_sets.synergyreid(tmp_path)), is_whole=False)
    assert table["person_id"].tolist() == [1, 436, 437, 437, 437]
    assert table["camera_id"].tolist() == [1, 1, 1, 2, 2]
    assert unmatched_queries(table).empty


def test_the_challenge_whose_identities_are_hidden_is_left_out(tmp_path: Path) -> None:
    listing = list_images(tiny_sets.synergyreid(tmp_path))
    assert not [entry for entry in listing.entries if "challenge" in entry.path]


def test_a_file_of_another_name_and_an_identity_on_both_sides_are_named(tmp_path: Path) -> None:
    folder = tiny_sets.synergyreid(tmp_path)
    tiny_sets.image(folder / "reid_training" / "436_1_2.jpeg")
    tiny_sets.image(folder / "reid_training" / "player.jpeg")
    with pytest.raises(DataError) as error:
        tabulate(list_images(folder), is_whole=False)
    wrong, shared = error.value.problems
    assert wrong.startswith("reid_training/player.jpeg: not named as <identity>_<sequence>_<frame>.jpeg")
    assert "person_id 437 is in both train and test: reid_training/436_1_2.jpeg" in shared
