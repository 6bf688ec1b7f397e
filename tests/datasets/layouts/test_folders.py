import os
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.datasets.layouts.folders import check_parts, files, files_below, is_litter, matches
from pipeline.images.table import DataError


def test_files_stand_by_name_and_litter_is_passed_over(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.jpg", "Thumbs.db", ".DS_Store", "._a.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert files(tmp_path) == ["a.jpg", "b.jpg"]
    assert files(tmp_path / "absent") == []


def test_litter_is_known_wherever_it_lies() -> None:
    assert all(map(is_litter, ("a/.DS_Store", "__MACOSX/a/b.jpg", ".unpacked.json", "a/._b.jpg", "a/.b/c.jpg")))
    assert all(map(is_litter, ("$RECYCLE.BIN/a.jpg", "a/@eaDir/b.jpg", "#recycle/a.jpg", "a/thumbs.db", "Desktop.ini")))
    assert not any(map(is_litter, ("a/b.jpg", "a.b/c_.jpg", "recycle/a.jpg", "@home/a.jpg")))


def test_links_are_followed_wherever_they_lead(tmp_path: Path) -> None:
    for name in ("set/anna/1.jpg", "elsewhere/ben/2.jpg", "elsewhere/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "set" / "ben").symlink_to(tmp_path / "elsewhere" / "ben")
    (tmp_path / "set" / "anna" / "3.jpg").symlink_to(tmp_path / "elsewhere" / "3.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    expected = (["anna/1.jpg", "anna/3.jpg", "ben/2.jpg"], [])
    assert files_below(tmp_path / "set") == files_below(tmp_path / "link") == expected


def test_what_can_not_be_followed_is_named_and_a_circle_of_links_ends(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"")
    (tmp_path / "a" / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "a" / "itself").symlink_to("itself")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "other").symlink_to("../b")
    (tmp_path / "b" / "other").symlink_to("../a")
    os.mkfifo(tmp_path / "b" / "pipe.jpg")
    (tmp_path / "b" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"")
    found, problems = files_below(tmp_path)
    assert found == ["a/1.jpg", "a/other/1.jpg", "b/1.jpg", "b/other/1.jpg"]
    assert [line for line in problems if line.startswith("a/")][:3] == [
        "a/gone.jpg: a link to nowhere.jpg, where nothing is: mend or remove it",
        "a/itself: a link to itself, where nothing is: mend or remove it",
        "a/up: a link to .., a folder that it lies in: remove it",
    ]
    assert "a/other/other: a link to ../a, a folder that it lies in: remove it" in problems
    assert "b/pipe.jpg: neither a file nor a folder: remove it" in problems
    assert r"b/caf\xe9.jpg: a name that is not in UTF-8: give it another" in problems


def test_a_folder_that_may_not_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "anna").mkdir()
    scan = os.scandir

    def refuse(path: str | Path) -> Any:
        if Path(path).name == "anna":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert files_below(tmp_path) == ([], ["anna: can't be opened (Permission denied)"])


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
