import errno
import os
import shutil

import pytest

from pipeline import outputs
from pipeline.outputs import check_replaceable, check_room, in_the_way, mount_of, why_not_written


def error(number, *names):
    return OSError(number, os.strerror(number), *names[:1], None, *names[1:])


@pytest.fixture
def nearly_full(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**10, 10**10 - 10**6, 10**6))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_said_with_the_file_its_file_system_and_what_is_free(tmp_path, nearly_full, number):
    file = tmp_path / "deep" / "images.npy"
    said = why_not_written(error(number, str(file)))
    where = f"{file} could not be written: the file system at {mount_of(tmp_path)} has 1.0 MB free"
    assert said.startswith(f"{where} ({os.strerror(number)}). Free some space or raise the quota")


@pytest.mark.parametrize(
    "nameless",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("1920 requested and 1008 written"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        OSError("[Errno 28] Error writing bytes to file"),
    ],
)
def test_a_full_disk_without_a_name_is_said_with_all_file_systems_that_are_written_to(tmp_path, nearly_full, nameless):
    said = why_not_written(nameless, [tmp_path / "out"])
    assert said.startswith("an output could not be written: the file system at ")
    assert f"the file system at {mount_of(tmp_path)} has 1.0 MB free" in said
    assert "Free some space" in said


def test_a_disk_that_is_read_only_and_rights_that_are_missing_are_said(tmp_path):
    said = why_not_written(error(errno.EROFS, str(tmp_path / "table.csv")))
    assert said.startswith(f"{tmp_path / 'table.csv'} could not be written: the file system at {mount_of(tmp_path)} is")
    arrow = OSError(errno.EROFS, f"Failed to open local file '{tmp_path}/t.parquet'. Detail: [errno 30] Read-only")
    assert why_not_written(arrow).startswith(f"{tmp_path}/t.parquet could not be written: the file system at")
    tmp_path.chmod(0o500)
    said = why_not_written(error(errno.EACCES, str(tmp_path / "table.csv")))
    assert f"by this user ({os.getuid()}): {tmp_path} is of user {os.getuid()} and has the rights 0500" in said


def test_what_can_not_be_replaced_is_named_and_no_disk_is_called_full(tmp_path):
    for name in ("link", "folder"):
        (tmp_path / name).mkdir() if name == "folder" else (tmp_path / name).symlink_to("elsewhere")
    (tmp_path / "file").touch()
    link, file, folder = (tmp_path / name for name in ("link", "file", "folder"))
    assert why_not_written(error(errno.ENOTDIR, str(folder), str(link))).startswith(f"{link} is a link to elsewhere")
    assert why_not_written(error(errno.ENOTDIR, str(file / "deep"))).startswith(f"{file} is a file, and a folder is")
    assert why_not_written(error(errno.EISDIR, str(folder))).startswith(f"{folder} is a folder, and a file is expected")
    assert why_not_written(error(errno.EEXIST, str(folder))) is None
    assert in_the_way(folder) is None
    assert in_the_way(folder / "none" / "there") is None
    with pytest.raises(ValueError, match="is a file"):
        check_replaceable(file)


def test_a_mount_point_is_called_one(tmp_path, monkeypatch):
    monkeypatch.setattr(type(tmp_path), "is_mount", lambda path: path == tmp_path)
    for number in (errno.EBUSY, errno.EEXIST):
        said = why_not_written(error(number, str(tmp_path / "draft"), str(tmp_path)))
        assert said.startswith(f"{tmp_path} is a mount point")
        assert f"Mount that file system at {tmp_path.parent}" in said


def test_errors_of_other_kinds_are_left_alone():
    for other in (error(errno.ENOENT, "absent"), ValueError("[Errno 28]"), error(errno.ECONNREFUSED), OSError("x")):
        assert why_not_written(other) is None


def test_room_that_is_missing_is_said_before_and_room_that_is_there_is_not(tmp_path, nearly_full):
    check_room(tmp_path / "not" / "there", 10**6, "10 images")
    with pytest.raises(ValueError, match=rf"^10 images take 1\.1 MB in {tmp_path}, .* has 1\.0 MB free: make room"):
        check_room(tmp_path, 1_100_000, "10 images")


def test_what_is_free_is_that_of_the_nearest_folder_that_is_there(tmp_path):
    assert outputs.free_bytes(tmp_path / "a" / "b") > 0
    assert mount_of(tmp_path / "a" / "b") == mount_of(tmp_path)
