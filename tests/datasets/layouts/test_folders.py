import re
from pathlib import Path

import pytest

from pipeline.datasets.layouts.folders import check_parts, files, is_litter, matches
from pipeline.images.table import DataError


def test_files_stand_by_name_and_litter_is_passed_over(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.jpg", "Thumbs.db", ".DS_Store", "._a.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert files(tmp_path) == ["a.jpg", "b.jpg"]
    assert files(tmp_path / "absent") == []


def test_litter_is_known_wherever_it_lies() -> None:
    assert all(map(is_litter, ("a/.DS_Store", "__MACOSX/a/b.jpg", ".unpacked.json", "a/._b.jpg", "a/.b/c.jpg")))
    assert not any(map(is_litter, ("a/b.jpg", "a.b/c_.jpg")))


def test_a_file_of_another_name_is_told_what_was_expected(tmp_path: Path) -> None:
    for name in ("train/1.jpg", "train/one.jpg", "test/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    problems: list[str] = []
    found = list(
        matches(tmp_path, {"train": "train", "test": "query"}, re.compile(r"(\d)\.jpg"), "<digit>.jpg", problems)
    )
    assert [(path, role, match[1]) for path, role, match in found] == [
        ("train/1.jpg", "train", "1"),
        ("test/2.jpg", "query", "2"),
    ]
    (message,) = problems
    assert message.startswith("train/one.jpg: not named as <digit>.jpg; restore its name")


def test_parts_may_be_folders_and_files(tmp_path: Path) -> None:
    (tmp_path / "set" / "train").mkdir(parents=True)
    (tmp_path / "set" / "list.txt").write_text("")
    check_parts(tmp_path / "set", ["train", "list.txt"], "Ask.")
    with pytest.raises(DataError, match=r"expected train, test\.txt in it, test\.txt not there\. Ask\."):
        check_parts(tmp_path / "set", ["train", "test.txt"], "Ask.")
    with pytest.raises(DataError, match=r"/set has them: give that"):
        check_parts(tmp_path, ["train", "list.txt"], "Ask.")
