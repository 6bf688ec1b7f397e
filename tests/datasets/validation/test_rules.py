import pandas as pd
import pytest

from pipeline.datasets.validation import rules
from pipeline.images.table import Counts

FIRST = "bounding_box_train/0002_c1s1_000451_03.jpg"


def spoil(table: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    spoiled = table.copy()
    spoiled.loc[row, column] = value
    return spoiled


def shown(table: pd.DataFrame, **same: int) -> pd.Series:
    """Digests of what each row shows, all different but for those that are made equal: ``row_4=0``."""
    digests = [f"pixels of {row}" for row in range(len(table))]
    for row, other in same.items():
        digests[int(row.removeprefix("row_"))] = digests[other]
    return pd.Series(digests, dtype="str")


def test_a_good_table_breaks_no_rule(table: pd.DataFrame) -> None:
    assert rules.check_rows(table, num_cameras=6) == []
    assert rules.check_copies(table, shown(table), as_published=False) == []
    assert rules.check_sizes(table) == []
    assert rules.check_counts(table, Counts(3, 2, 2, 2, 4, 2), ()) == []


@pytest.mark.parametrize(
    ("row", "column", "value", "rule", "message"),
    [
        (0, "person_id", -1, "person", "person_id below 0"),
        (0, "person_id", 0, "person", "distractors, which belong in the gallery"),
        (0, "person_id", 1, "shared", "person_id 1 is in both train and test"),
        (0, "camera_id", 0, "camera", "camera_id outside 1..6"),
        (0, "camera_id", 7, "camera", "camera_id outside 1..6"),
        (0, "modality", "thermal", "column", "modality is none of visible, infrared"),
        (0, "role", "probe", "column", "role is none of train, query, gallery"),
        (0, "split", "test", "column", "split does not go with its role"),
        (1, "path", FIRST, "repeated", "listed twice"),
    ],
)
def test_a_row_that_breaks_a_rule_is_named_with_it(
    table: pd.DataFrame, row: int, column: str, value: object, rule: str, message: str
) -> None:
    found = rules.check_rows(spoil(table, row, column, value), num_cameras=6)
    assert [one.rule for one in found if message in one.text and FIRST in one.text] == [rule]


def test_without_cameras_every_camera_is_zero(table: pd.DataFrame) -> None:
    assert rules.check_rows(table.assign(camera_id=0), num_cameras=0) == []
    assert {one.rule for one in rules.check_rows(table, num_cameras=0)} == {"camera"}


def test_the_same_picture_in_train_and_test_is_an_error_unless_the_makers_put_it_there(
    table: pd.DataFrame,
) -> None:
    for as_published, rule in ((False, "leaked"), (True, "leaked_by_makers")):
        (found,) = rules.check_copies(table, shown(table, row_4=0), as_published=as_published)
        assert (found.rule, found.is_error) == (rule, not as_published)
        assert found.text == f"query/0003_c6s1_001051_00.jpg: the same pixels as {FIRST}"


def test_the_same_content_is_told_from_the_same_pixels(table: pd.DataFrame) -> None:
    copied = spoil(table, 4, "sha256", table["sha256"][0])
    (found,) = rules.check_copies(copied, shown(table, row_4=0), as_published=False)
    assert "the same content as" in found.text


def test_all_copies_are_named_at_once_and_not_a_pair_of_each_group(table: pd.DataFrame) -> None:
    paths = table["path"]
    found = rules.check_copies(table, shown(table, row_1=0, row_4=0, row_5=0, row_8=6), as_published=False)
    assert [(one.rule, one.text) for one in found] == [
        *(("leaked", f"{paths[row]}: the same pixels as {paths[0]}") for row in (1, 4, 5)),
        ("two_persons", f"{paths[8]}: the same pixels as {paths[6]}"),
    ]


def test_one_picture_of_two_identities_and_of_one_are_warnings(table: pd.DataFrame) -> None:
    (two,) = rules.check_copies(table, shown(table, row_2=0), as_published=False)
    (one,) = rules.check_copies(table, shown(table, row_1=0), as_published=False)
    assert (two.rule, one.rule) == ("two_persons", "copies")
    assert not two.is_error
    assert not one.is_error


def test_a_file_that_is_listed_twice_is_no_copy_and_one_without_pixels_neither(table: pd.DataFrame) -> None:
    assert rules.check_copies(spoil(table, 1, "path", FIRST), shown(table, row_1=0), as_published=False) == []
    assert rules.check_copies(table, pd.Series([""] * len(table), dtype="str"), as_published=False) == []


@pytest.mark.parametrize(("height", "width", "is_small"), [(32, 16, False), (31, 16, True), (32, 15, True)])
def test_images_that_are_small_are_named(table: pd.DataFrame, height: int, width: int, is_small: bool) -> None:
    found = rules.check_sizes(spoil(spoil(table, 0, "height", height), 0, "width", width))
    assert [one.text for one in found] == [f"{FIRST}: {height}x{width}, below 32x16 (height x width)"] * is_small


def test_an_image_that_could_not_be_read_has_no_size_to_find_small(table: pd.DataFrame) -> None:
    unread = spoil(spoil(table, 0, "height", 0), 0, "sha256", "")
    assert rules.check_sizes(unread) == []


def test_a_number_is_an_error_and_one_that_is_only_heard_of_is_a_warning(table: pd.DataFrame) -> None:
    found = rules.check_counts(table, Counts(3, 2, 2, 2, 5, 9), ("gallery_identities",))
    assert [(one.rule, one.is_error) for one in found] == [("counts", True), ("unverified_counts", False)]
    assert found[0].text == "gallery images: 5 published, 4 here"
    assert found[1].text == "gallery identities: 9 published, 2 here (a count that only the literature has)"


def test_queries_that_cannot_be_answered_are_named(table: pd.DataFrame) -> None:
    (found,) = rules.check_queries(table)
    assert found.text.startswith("query/0003_c6s1_001051_00.jpg: no image of the same identity by another camera")
    assert not found.is_error
