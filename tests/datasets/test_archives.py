import gzip
import io
import struct
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import locking
from pipeline.datasets import archives
from pipeline.datasets.archives import unpacked
from pipeline.images.table import DataError

GOOD = {"set/query/a.jpg": b"a" * 500, "set/query/b.jpg": b"b", "set/readme.txt": b"hello"}
Write = Callable[[Path, dict[str, bytes]], None]


def write_zip(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo("x")
            info.filename = name  # as it is: ZipInfo would mend some of them
            file.writestr(info, content, zipfile.ZIP_DEFLATED)


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))


def write(path: Path, members: dict[str, bytes]) -> Path:
    (write_zip if path.suffix == ".zip" else write_tar)(path, members)
    return path


def write_entry(path: Path, **attributes: object) -> Path:
    """Writes a tar with one entry of this kind."""
    info = tarfile.TarInfo("set/x")
    for name, value in attributes.items():
        setattr(info, name, value)
    with tarfile.open(path, "w") as file:
        file.addfile(info)
    return path


def content(folder: Path) -> list[Path]:
    """Returns what is in a folder, without the lock, which stays."""
    return sorted(path for path in folder.rglob("*") if path.suffix != ".lock")


def refused(path: Path) -> str:
    """Returns the problem with which an archive is refused; nothing of it is left, nor anything beside."""
    before = content(path.parent)
    with pytest.raises(DataError) as error:
        unpacked(path)
    assert content(path.parent) == before
    return error.value.problems[0]


@pytest.fixture(params=archives.ENDINGS)
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_an_archive_stands_for_its_folder_by_either_name(tmp_path: Path, ending: str) -> None:
    archive = write(tmp_path / f"market1501{ending}", GOOD)
    for place in (tmp_path / "market1501", archive):
        folder = unpacked(place)
        assert folder == tmp_path / "market1501" / "set", "the folder that is alone in it"
        for name, content in GOOD.items():
            assert (folder.parent / name).read_bytes() == content
    assert {path.name for path in tmp_path.iterdir()} == {"market1501", ".market1501.lock", archive.name}


def test_who_needs_an_archive_that_is_being_unpacked_waits_and_finds_all_of_it(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = write(tmp_path / f"set{ending}", {f"set/{number}.jpg": b"x" for number in range(50)})
    monkeypatch.setattr(locking, "PATIENCE_SECONDS", 0.05)
    extract, counts = archives._extract, []
    second = threading.Thread(target=lambda: counts.append(len(list(unpacked(archive).iterdir()))))

    def slow(*arguments: Any) -> None:
        if second.ident is None:
            second.start()
            second.join(0.5)
            assert second.is_alive(), "it waits"
        extract(*arguments)

    monkeypatch.setattr(archives, "_extract", slow)
    counts.append(len(list(unpacked(archive).iterdir())))
    second.join()
    assert counts == [50, 50]
    assert "set is being unpacked by another process: waiting for it" in capsys.readouterr().err


def test_what_lacks_files_of_its_archive_is_not_taken_for_whole(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, extract = write(tmp_path / f"set{ending}", GOOD), archives._extract

    def robbed(file: Any, member: Any, target: Path) -> None:
        extract(file, member, target)
        (target / "set" / "query" / "a.jpg").unlink(missing_ok=True)

    monkeypatch.setattr(archives, "_extract", robbed)
    assert "2 of its 3 files are in" in refused(archive)


def test_it_is_unpacked_once_and_again_when_it_changes(tmp_path: Path, ending: str) -> None:
    archive = write(tmp_path / f"set{ending}", GOOD)
    (unpacked(archive) / "query" / "a.jpg").write_bytes(b"seen")
    assert (unpacked(archive) / "query" / "a.jpg").read_bytes() == b"seen"
    write(archive, GOOD | {"set/query/c.jpg": b"new"})
    folder = unpacked(tmp_path / "set")
    assert (folder / "query" / "c.jpg").read_bytes() == b"new"
    assert (folder / "query" / "a.jpg").read_bytes() == b"a" * 500
    archive.unlink()
    assert unpacked(tmp_path / "set") == folder, "the archive may go"


def test_an_unpacking_that_was_stopped_leaves_nothing_and_is_begun_anew(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write(tmp_path / f"set{ending}", GOOD)
    half = tmp_path / ".set.unpacking"
    half.mkdir()
    (half / "junk").write_bytes(b"from a kill")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(archives, "_extract", stop)
        with pytest.raises(KeyboardInterrupt):
            unpacked(archive)
    assert content(tmp_path) == [archive]
    half.mkdir()
    (half / "junk").write_bytes(b"from a kill")
    assert sorted(path.name for path in unpacked(archive).iterdir()) == ["query", "readme.txt"]
    assert not half.exists()


def test_what_is_no_archive_is_left_to_the_reader(tmp_path: Path) -> None:
    (tmp_path / "folder" / "only").mkdir(parents=True)
    for name in ("folder", "absent", "file.csv"):
        assert unpacked(tmp_path / name) == tmp_path / name
    (tmp_path / "file.csv").write_text("path,person_id\n")
    assert unpacked(tmp_path / "file.csv") == tmp_path / "file.csv"


def test_a_folder_that_was_not_unpacked_here_is_never_replaced(tmp_path: Path) -> None:
    archive = write(tmp_path / "set.zip", GOOD)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("")
    assert unpacked(tmp_path / "set") == tmp_path / "set"
    assert "is in the way" in refused(archive)


def test_beside_an_archive_that_lies_where_nothing_may_be_written_it_goes_among_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shared").mkdir()
    archive = write(tmp_path / "shared" / "set.tar", GOOD)
    monkeypatch.setattr(archives.os, "access", lambda *_: False)
    assert unpacked(archive) == Path("data/unpacked/set/set")
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["set.tar"]


@pytest.mark.parametrize(
    "name",
    [
        "/etc/x",
        "../x",
        "set/../../x",
        "set/..",
        "C:/x",
        "C:x",
        "..\\x",
        "\\\\host\\x",
        "//host/x",
    ],
)
def test_no_member_leads_out_of_the_target(tmp_path: Path, ending: str, name: str) -> None:
    message = refused(write(tmp_path / f"set{ending}", GOOD | {name: b"evil"}))
    assert "leads out of the folder" in message


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (tarfile.SYMTYPE, "a link, expected files and folders only"),
        (tarfile.LNKTYPE, "a link, expected files and folders only"),
        (tarfile.CHRTYPE, "a device or the like"),
        (tarfile.BLKTYPE, "a device or the like"),
        (tarfile.FIFOTYPE, "a device or the like"),
    ],
)
def test_a_tar_holds_neither_links_nor_devices(tmp_path: Path, kind: bytes, message: str) -> None:
    assert message in refused(write_entry(tmp_path / "set.tar", type=kind, linkname="/etc/passwd"))


@pytest.mark.parametrize(("mode", "message"), [(0o120777, "a link"), (0o020666, "a device"), (0o010666, "a device")])
def test_a_zip_holds_neither_links_nor_devices(tmp_path: Path, mode: int, message: str) -> None:
    info = zipfile.ZipInfo("set/x")
    info.create_system, info.external_attr = 3, mode << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    assert message in refused(tmp_path / "set.zip")


def test_no_member_overwrites_another(tmp_path: Path, ending: str) -> None:
    for other in ("set/query/A.JPG", "set//query/a.jpg", "set/./query/a.jpg"):
        message = refused(write(tmp_path / f"set{ending}", GOOD | {other: b"evil"}))
        assert "overwrites set/query/a.jpg" in message
    assert "lies in what is a file" in refused(write(tmp_path / f"set{ending}", GOOD | {"set/query/a.jpg/x": b""}))


def test_a_bomb_is_refused_before_anything_of_it_is_written(tmp_path: Path) -> None:
    zeros = {f"set/{number}.jpg": bytes(4 * 2**20) for number in range(8)}
    for name in ("set.zip", "set.tar.gz"):
        assert "this is no data set" in refused(write(tmp_path / name, zeros))


def test_a_size_that_no_disk_holds_is_refused_without_reading_on(tmp_path: Path) -> None:
    info = tarfile.TarInfo("set/x")
    info.size = 2**50
    with gzip.open(tmp_path / "set.tgz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
    assert "this is no data set" in refused(tmp_path / "set.tgz")


def test_a_negative_size_makes_no_room_for_others(tmp_path: Path) -> None:
    header = bytearray(tarfile.TarInfo("set/x").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 11 + b"\x01"  # -255 in base 256
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "set.tar").write_bytes(bytes(header) + bytes(1024))
    assert refused(tmp_path / "set.tar")


def test_a_header_cannot_ask_for_all_the_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("set/x")
    info.type, info.size = tarfile.XHDTYPE, 2**33
    (tmp_path / "set.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert "damaged" in refused(tmp_path / "set.tar")


def test_too_many_files_are_refused(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 2)
    assert "more than 2 files" in refused(write(tmp_path / f"set{ending}", GOOD))


def test_too_many_bytes_are_refused(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 505)
    assert "unpacks to more than 505 bytes" in refused(write(tmp_path / f"set{ending}", GOOD))


def test_what_the_disk_has_no_room_for_is_refused(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: type("Disk", (), {"free": 100}))
    assert refused(write(tmp_path / f"set{ending}", GOOD)) == "unpacks to 506 bytes, and 100 are free there: make room"


def test_a_member_that_is_longer_than_it_says_is_refused(tmp_path: Path) -> None:
    archive = write(tmp_path / "set.zip", {"set/x": b"x" * 1000})
    content = bytearray(archive.read_bytes())
    place = content.index(b"PK\x01\x02") + 24  # the uncompressed size, in the directory at the end
    assert struct.unpack("<I", content[place : place + 4]) == (1000,)
    content[place : place + 4] = struct.pack("<I", 10)
    archive.write_bytes(bytes(content))
    assert "damaged" in refused(archive)


def test_an_encrypted_zip_says_what_to_do(tmp_path: Path) -> None:
    archive = write(tmp_path / "set.zip", {"set/x": b"x"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(bytes(content))
    assert "encrypted: unpack the archive yourself" in refused(archive)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_a_truncated_archive_is_damaged(tmp_path: Path, ending: str, share: float) -> None:
    archive = write(tmp_path / f"set{ending}", {f"set/{number}.jpg": b"%d" % number * 3000 for number in range(9)})
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    assert "damaged, or no archive of its kind" in refused(archive)


def test_the_dot_that_tar_begins_with_is_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "from" / "query").mkdir(parents=True)
    (tmp_path / "from" / "query" / "a.jpg").write_bytes(b"a")
    (tmp_path / "from" / "train").mkdir()
    with tarfile.open(tmp_path / "set.tar", "w") as file:
        file.add(tmp_path / "from", arcname=".")
    folder = unpacked(tmp_path / "set")
    assert folder == tmp_path / "set"
    assert (folder / "query" / "a.jpg").read_bytes() == b"a"


def test_every_bad_member_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        unpacked(write(tmp_path / "set.zip", {"../a": b"", "/b": b"", "c": b"", "C": b""}))
    assert len(error.value.problems) == 3


def test_a_tar_that_is_cut_between_two_members_is_damaged(tmp_path: Path) -> None:
    archive = write(tmp_path / "set.tar", {"set/a": b"a" * 512, "set/b": b"b" * 512})
    archive.write_bytes(archive.read_bytes()[:1024])
    assert "damaged" in refused(archive)
