import re
from pathlib import Path

import pytest

from pipeline.datasets.layouts.lists import is_inside, read_ids, read_named, read_pairs


def listed(folder: Path, text: str) -> Path:
    (folder / "list.txt").write_text(text)
    return folder


def test_lines_are_path_and_label_and_empty_ones_are_passed_over(tmp_path: Path) -> None:
    problems: list[str] = []
    pairs = read_pairs(listed(tmp_path, "a/b.jpg 0\n\nc d.jpg\t12 \r\n"), "list.txt", problems)
    assert (pairs, problems) == ([("a/b.jpg", 0), ("c d.jpg", 12)], [])


def test_many_wrong_lines_are_counted_and_a_few_named(tmp_path: Path) -> None:
    problems: list[str] = []
    assert read_pairs(listed(tmp_path, "a.jpg 1\n" + "wrong\n" * 1000), "list.txt", problems) == [("a.jpg", 1)]
    assert len(problems) == 6
    assert problems[0] == "list.txt, line 2: expected <path> <label>, got 'wrong'"
    assert problems[-1] == "list.txt: 995 more lines are wrong"


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.jpg", "a/../../b.jpg", "..", "a\\..\\b.jpg"])
def test_paths_that_lead_out_of_the_folder_are_seen(path: str) -> None:
    assert not is_inside(path)


@pytest.mark.parametrize("path", ["a.jpg", "a/b..jpg", "./a.jpg", "a b/c.jpg"])
def test_others_are_let_be(path: str) -> None:
    assert is_inside(path)


@pytest.mark.parametrize("text", ["3,1,2\n", "1, 2, 3", "1\n2\n3\n", "3,3,2,1,"])
def test_identities_come_in_rising_order(text: str, tmp_path: Path) -> None:
    problems: list[str] = []
    assert read_ids(listed(tmp_path, text), "list.txt", problems) == [1, 2, 3]
    assert problems == []


def test_an_empty_list_of_identities_is_a_problem(tmp_path: Path) -> None:
    problems: list[str] = []
    assert read_ids(listed(tmp_path, "\n"), "list.txt", problems) == []
    assert problems == ["list.txt: expected identities from 1, separated by commas, got none"]


def test_labels_and_identities_stand_for_each_other_across_lists(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("7/a.jpg 0\n8/b.jpg 1\n")
    (tmp_path / "two.txt").write_text("7/c.jpg 0\n9/d.jpg 1\n")
    problems: list[str] = []
    found = read_named(tmp_path, ["one.txt", "two.txt"], re.compile(r"(\d)/.*"), "<identity>/...", problems)
    assert [(name, match[1]) for name, _, match in found] == [
        ("one.txt", "7"),
        ("one.txt", "8"),
        ("two.txt", "7"),
        ("two.txt", "9"),
    ]
    assert problems == ["two.txt: 9/d.jpg: listed as 1, but before that 1 was identity 8 and 9 was listed as 1"]
