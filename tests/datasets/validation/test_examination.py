from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.listing import Listing
from pipeline.datasets.readers.market1501 import list_images
from pipeline.datasets.validation.examination import examine, tabulate
from pipeline.images.table import Counts, DataError, fingerprint

TRAIN, QUERY = "bounding_box_train/0002_c1s1_000451_03.jpg", "query/0001_c1s1_001051_00.jpg"
COUNTS = Counts(3, 2, 2, 2, 4, 2)


def listed(market: Path) -> Listing:
    return replace(list_images(market, distractors=False), published=COUNTS)


def found(market: Path, *, is_whole: bool = False) -> dict[str, list[str]]:
    """Returns the texts of what is found, by rule, but for the one query that nothing can answer."""
    _, report = examine(listed(market), name="small", is_whole=is_whole, cache=None, workers=2)
    texts: dict[str, list[str]] = {}
    for finding in report.findings:
        texts.setdefault(finding.rule, []).append(finding.text)
    assert texts.pop("unanswered", []) == [
        "query/0003_c6s1_001051_00.jpg: no image of the same identity by another camera in the gallery"
    ]
    return texts


def test_in_a_good_data_set_nothing_is_found_and_it_bears_its_fingerprint(market: Path) -> None:
    table, report = examine(listed(market), name="small", is_whole=True, cache=None, workers=2)
    assert [finding.rule for finding in report.findings] == ["unanswered"]
    assert (report.fingerprint, report.published) == (fingerprint(table), COUNTS)
    assert found(market, is_whole=True) == {}


def test_a_part_of_a_data_set_is_held_against_nothing(market: Path) -> None:
    _, report = examine(listed(market), name="small", is_whole=False, cache=None, workers=1)
    assert report.published is None


def test_everything_is_found_in_one_pass_and_nothing_stops_it(market: Path, jpeg: Callable[..., None]) -> None:
    folder = market / "bounding_box_train"
    (market / TRAIN).write_bytes(b"")
    (folder / "0002_c2s1_000776_01.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    Image.new("RGB", (16, 32)).save(folder / "0007_c3s3_077419_03.jpg", format="PNG")
    Image.fromarray(np.zeros((32, 16), dtype=np.uint16)).save(folder / "0007_c1s1_000001_00.jpg", format="PNG")
    jpeg(folder / "0007_c9s1_000002_00.jpg", seed=31)
    jpeg(folder / "0001_c1s1_000003_00.jpg", seed=32)
    jpeg(folder / "0008_c1s1_000004_00.jpg", seed=33, size=(4, 7))
    (folder / "0008_c2s1_000005_00.jpg").write_bytes((market / QUERY).read_bytes())
    (folder / "0009_c2s1_000006_00.jpg").symlink_to(market / "nowhere")
    (folder / "notes.txt").write_text("")
    rules = found(market, is_whole=True)
    assert {rule: len(texts) for rule, texts in rules.items()} == {
        "reader": 1,
        "missing": 1,
        "empty": 1,
        "unreadable": 1,
        "mislabelled": 1,
        "deep": 1,
        "camera": 1,
        "shared": 1,
        "leaked": 1,
        "small": 1,
        "counts": 2,
    }
    with pytest.raises(DataError) as error:
        tabulate(listed(market), is_whole=True)
    assert len(error.value.problems) == 10, "all but the three warnings"


def test_the_same_pixels_in_another_file_are_found(market: Path) -> None:
    with Image.open(market / QUERY) as image:
        pixels = image.convert("RGB")
    pixels.save(market / TRAIN, format="PNG")
    assert found(market)["leaked"] == [f"{QUERY}: the same pixels as {TRAIN}"]


def test_a_leak_is_the_makers_own_only_where_all_counts_are_theirs(market: Path, jpeg: Callable[..., None]) -> None:
    (market / TRAIN).write_bytes((market / QUERY).read_bytes())
    assert list(found(market, is_whole=True)) == ["leaked_by_makers"]
    jpeg(market / "bounding_box_train" / "0007_c2s1_000002_00.jpg", seed=31)
    assert list(found(market, is_whole=True)) == ["leaked", "counts"]
    assert list(found(market)) == ["leaked"]


def test_photos_are_turned_upright_where_a_listing_asks_for_it_and_are_other_images_then(market: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(market / TRAIN).save(market / TRAIN, format="JPEG", exif=exif)
    (lying, before), (turned, after) = (
        examine(replace(listed(market), turns_upright=is_upright), name="small", is_whole=False, cache=None, workers=1)
        for is_upright in (False, True)
    )
    assert [found.rule for found in before.findings] == ["turned", "unanswered"]
    assert [found.rule for found in after.findings] == ["upright", "small", "unanswered"]
    assert (lying["height"][0], lying["width"][0]) == (turned["width"][0], turned["height"][0]) == (32, 16)
    assert before.fingerprint != after.fingerprint
    assert lying["sha256"][1:].equals(turned["sha256"][1:])


def test_a_folder_in_place_of_an_image_is_named(market: Path) -> None:
    (market / TRAIN).unlink()
    (market / TRAIN).mkdir()
    assert found(market)["unreadable"] == [f"{TRAIN} is a folder, expected a plain file"]


def test_numbers_that_nobody_has_published_can_not_be_held_against_anything(market: Path) -> None:
    unpublished = replace(listed(market), published=None)
    with pytest.raises(ValueError, match="nobody has published counts of market1501; set it to false"):
        examine(unpublished, name="small", is_whole=True, cache=None, workers=1)
    examine(unpublished, name="small", is_whole=False, cache=None, workers=1)


def test_a_table_with_errors_has_no_fingerprint(market: Path) -> None:
    (market / TRAIN).write_bytes(b"")
    table, report = examine(listed(market), name="small", is_whole=False, cache=None, workers=1)
    assert report.fingerprint == ""
    assert table["sha256"][0] == ""
    assert len(table) == 9
