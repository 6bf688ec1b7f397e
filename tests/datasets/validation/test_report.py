import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.datasets.validation.findings import RULES, Finding
from pipeline.datasets.validation.report import describe, unlisted
from pipeline.images.table import Counts, DataError


def test_errors_come_first_with_counts_examples_and_what_to_do(table: pd.DataFrame) -> None:
    found = [Finding("copies", "b: as a"), *(Finding("unreadable", f"{number}.jpg: bad") for number in range(1200))]
    lines = str(describe("small", "market1501", table, "", found, published=None)).splitlines()
    assert lines[0] == "small: 1,200 errors, 1 warning"
    assert lines[1] == "  train: 3 images, 2 identities, 3 cameras, 0 distractors"
    assert lines[4] == "  images of 32 x 16 pixels (height x width)"
    assert lines[5].startswith("error: files that are no readable image (1,200). What to do: restore it")
    assert lines[6:16] == [f"  {number}.jpg: bad" for number in range(10)]
    assert lines[16] == "  ... and 1,190 more"
    assert lines[17].startswith("warning: images that are there more than once (1). What to do: ")
    assert lines[18:] == ["  b: as a"]


def test_a_report_without_findings_says_so_and_names_the_data(table: pd.DataFrame) -> None:
    text = str(describe("small", "market1501", table, "abc", [], published=None))
    assert text.startswith("small: 0 errors, 0 warnings\n")
    assert text.endswith("\n  fingerprint abc")


def test_the_file_has_everything_whatever_a_terminal_shows(table: pd.DataFrame, tmp_path: Path) -> None:
    found = [Finding("note", "so it is"), *(Finding("empty", f"{number}.jpg") for number in range(50))]
    report = describe("small", "market1501", table, "", found, published=None)
    report.write(tmp_path / "new" / "small.report.json")
    read = json.loads((tmp_path / "new" / "small.report.json").read_text())
    assert read == report.as_json()
    assert (read["num_errors"], read["num_warnings"]) == (50, 1)
    first, second = read["findings"]
    assert (first["rule"], first["level"], len(first["found"])) == ("empty", "error", 50)
    assert (second["rule"], second["level"], second["found"]) == ("note", "warning", ["so it is"])
    assert read["sizes"]["gallery"] == {"images": 4, "identities": 2, "cameras": 3, "distractors": 1, "infrared": 0}


def test_whatever_a_terminal_shows_can_be_told_from_the_file(table: pd.DataFrame) -> None:
    found = [Finding("small", "a.jpg: 3x2"), Finding("counts", "train images: 5 published, 3 here")]
    report = describe("small", "market1501", table, "abc", found, published=Counts(5, 2, 2, 2, 4, 2))
    read, shown = json.loads(json.dumps(report.as_json())), str(report)
    for part in read["findings"]:
        heading = f"{part['level']}: {part['what']} ({len(part['found'])}). What to do: {part['advice']}"
        assert heading + "\n  " + "\n  ".join(part["found"]) in shown
    assert shown.startswith(f"{read['name']}: {read['num_errors']} error, {read['num_warnings']} warning\n")
    for role, size in read["sizes"].items():
        assert f"  {role}: {size['images']} images, {size['identities']} identities, {size['cameras']} cameras" in shown
        assert {f"{role}_images", f"{role}_identities"} <= set(read["published"])
    assert f"images of {read['heights'][0]} x {read['widths'][1]} pixels" in shown
    assert f"fingerprint {read['fingerprint']}" in shown
    assert read["published"]["train_images"] == 5


def test_the_order_in_which_things_are_found_does_not_matter(table: pd.DataFrame) -> None:
    found = [Finding("empty", "a"), Finding("counts", "b"), Finding("reader", "c")]
    here, there = (describe("small", "d", table, "", order, published=None).as_json() for order in (found, found[::-1]))
    assert here == there


def test_roles_stand_in_one_order_wherever_their_images_do(table: pd.DataFrame) -> None:
    turned = describe("small", "d", table[::-1], "", [], published=None)
    assert list(turned.sizes) == ["train", "query", "gallery"]


def test_errors_are_refused_with_the_report_and_warnings_are_not(table: pd.DataFrame) -> None:
    small, empty = Finding("small", "a.jpg: 3x2"), Finding("empty", "b.jpg: an empty file")
    describe("small", "d", table, "abc", [small], published=None).refuse_errors(Path("here"))
    report = describe("small", "d", table, "", [small, empty], published=None)
    with pytest.raises(DataError) as error:
        report.refuse_errors(Path("here"))
    assert error.value.problems == ["b.jpg: an empty file"]
    assert str(error.value) == f"here\n{report}"


def test_data_that_cannot_be_listed_have_a_report_too() -> None:
    report = unlisted("small", ["data/raw/small: no such folder"])
    assert [finding.text for finding in report.errors] == ["data/raw/small: no such folder"]
    assert str(report).startswith("small: 1 error, 0 warnings\nerror: ")


def test_every_rule_says_what_to_do() -> None:
    assert all(rule.what and rule.advice for rule in RULES.values())
