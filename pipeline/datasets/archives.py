"""Archives in place of folders: unpacked beside themselves once, without anything leaving the target."""

from __future__ import annotations

import json
import os
import shutil
import stat
import struct
import sys
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import BadGzipFile, GzipFile
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.datasets.layouts.folders import is_litter
from pipeline.datasets.location import UNPACKED
from pipeline.images.table import DataError
from pipeline.locking import exclusive_lock

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
MARKER = ".unpacked.json"
MOST_FILES = 1_000_000
MOST_BYTES = 256 * 2**30
"""More than any data set of persons has: half a million images are the most there are, of 64 KiB or less."""
MOST_GROWTH = 100
"""How many times its archive's size a data set may have: images hardly shrink, and a bomb grows a thousandfold."""
SMALL = 2**20
"""Bytes of an archive that may grow as it likes, and the most that is read of one at a time."""
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    ValueError,
)
"""What the readers of archives raise at content that is none."""


@dataclass(frozen=True)
class Member:
    """What an archive says of one of its members: ``kind`` is file, folder, or what it is instead."""

    name: str
    kind: str
    size: int
    source: Any


def unpacked(place: Path) -> Path:
    """Returns the folder of a data set whose place is a folder, an archive, or an archive but for its ending.

    An archive is unpacked beside itself, under its name without the ending, or in ``data/unpacked`` where nothing may
    be written beside it; it is not unpacked again as long as it stays the same. A folder that is alone in an archive
    is the one returned. A place where nothing lies is returned as it is, for the reader to say so.

    Raises:
        DataError: for an archive that is damaged or encrypted, has too much in it, or has members that are neither
            files nor folders, that lie outside it, or that would overwrite each other. Nothing is left of it then.
    """
    archive = _archive(place)
    if archive is None:
        return _inner(place) if (place / MARKER).is_file() else place
    parent = archive.parent if os.access(archive.parent, os.W_OK) else UNPACKED
    target = parent / _stem(archive)
    found = archive.stat()
    made_of = {"archive": archive.name, "size": found.st_size, "modified": found.st_mtime_ns}
    if not _is_made_of(target, made_of):
        with exclusive_lock(parent / f".{target.name}", "unpacked", waits=True):
            if not _is_made_of(target, made_of):
                _replace(target, archive, made_of)
    return _inner(target)


def _is_made_of(target: Path, made_of: dict[str, Any]) -> bool:
    return (target / MARKER).is_file() and json.loads((target / MARKER).read_text()) == made_of


def _replace(target: Path, archive: Path, made_of: dict[str, Any]) -> None:
    """Ensures that a folder holds all that is in an archive, or what it held before."""
    if target.exists() and not (target / MARKER).is_file():
        raise DataError(archive, [f"{target} is in the way of unpacking it: give that folder, or move one of the two"])
    draft, before = (target.with_name(f".{target.name}.{what}") for what in ("unpacking", "before"))
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    print(f"unpacking {archive} into {target}", file=sys.stderr)
    try:
        _unpack(archive, draft)
        (draft / MARKER).write_text(json.dumps(made_of) + "\n")
        shutil.rmtree(before, ignore_errors=True)
        if target.exists():
            target.rename(before)  # removed in its place and then cut short, it would still have its marker
        draft.rename(target)
    finally:
        for folder in (draft, before):
            shutil.rmtree(folder, ignore_errors=True)


def _archive(place: Path) -> Path | None:
    """Returns the archive that a place is, or that lies there under its name with an ending."""
    if place.is_file() and _stem(place) != place.name:
        return place
    if place.exists() and not (place / MARKER).is_file():
        return None
    return next((file for ending in ENDINGS if (file := place.with_name(place.name + ending)).is_file()), None)


def _stem(archive: Path) -> str:
    """Returns a file's name without the ending of an archive's."""
    ending = max((ending for ending in ENDINGS if archive.name.lower().endswith(ending)), key=len, default="")
    return archive.name[: len(archive.name) - len(ending)]


def _inner(folder: Path) -> Path:
    """Returns the folder that is alone in what was unpacked, or alone in that one."""
    while True:
        inside = [path for path in folder.iterdir() if not is_litter(path.name)]
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        folder = inside[0]


def _unpack(archive: Path, target: Path) -> None:
    """Ensures that the members of an archive are in a new folder."""
    try:
        with _opened(archive) as file:
            members = _checked(archive, file)
            _check_room(archive, sum(member.size for member in members), target)
            for member in members:
                _extract(file, member, target)
        expected = sum(member.kind == "file" for member in members)
        if (there := sum(path.is_file() for path in target.rglob("*"))) != expected:
            raise DataError(archive, [f"{there:,} of its {expected:,} files are in {target}: who removed them?"])
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(archive, [f"damaged, or no archive of its kind ({error}): get it again"]) from None


def _checked(archive: Path, file: zipfile.ZipFile | tarfile.TarFile) -> list[Member]:
    """Returns the members of an archive, none of which is anything but a file or a folder within it.

    Raises:
        DataError: naming every member that is not, or at once when there is too much of them.
    """
    members: list[Member] = []
    total, most = 0, min(MOST_BYTES, max(SMALL, MOST_GROWTH * archive.stat().st_size))
    for member in _members(file):
        members.append(member)
        total += max(member.size, 0)
        if len(members) > MOST_FILES:
            raise DataError(archive, [f"more than {MOST_FILES:,} files: this is no data set of persons"])
        if total > most:
            raise DataError(
                archive, [f"unpacks to more than {most:,} bytes, from {archive.stat().st_size:,}: this is no data set"]
            )
    if problems := _problems(members):
        raise DataError(archive, problems)
    return members


def _check_room(archive: Path, size: int, target: Path) -> None:
    if size > (free := shutil.disk_usage(target).free):
        raise DataError(archive, [f"unpacks to {size:,} bytes, and {free:,} are free there: make room"])


def _problems(members: list[Member]) -> list[str]:
    """Returns a line for each member that is not to be unpacked."""
    found = []
    seen: dict[str, str] = {}
    files: set[str] = set()
    for member in members:
        path = PurePosixPath(member.name)
        if member.kind not in ("file", "folder"):
            found.append(f"{member.name}: {member.kind}, expected files and folders only")
        elif member.size < 0:
            found.append(f"{member.name}: {member.size} bytes")
        elif not _is_inside(member.name, is_folder=member.kind == "folder"):
            found.append(f"{member.name!r}: leads out of the folder that it is unpacked into")
        elif member.kind == "file":
            key = _key(path)
            if key in seen:
                found.append(f"{member.name}: overwrites {seen[key]} (on some disks, when they differ in case)")
            seen.setdefault(key, member.name)
            files.add(key)
    for member in members:
        path = PurePosixPath(member.name)
        parents = list(path.parents)[:-1] + ([path] if member.kind == "folder" else [])
        if any(_key(parent) in files for parent in parents):
            found.append(f"{member.name}: lies in what is a file")
    return found


def _is_inside(name: str, *, is_folder: bool) -> bool:
    """Returns whether a name stays below the folder it is joined to, on any system."""
    path = PurePosixPath(name)
    is_odd = "\\" in name or "\0" in name or ":" in name.split("/")[0] or not (path.parts or is_folder)
    return not (is_odd or path.is_absolute() or ".." in path.parts)


def _key(path: PurePosixPath) -> str:
    """Returns what names the same file on a disk that knows no case."""
    return unicodedata.normalize("NFC", path.as_posix()).casefold()


def _members(file: zipfile.ZipFile | tarfile.TarFile) -> Iterator[Member]:
    """Yields the members of an archive as they come; of a compressed tar, no more is read than is asked for."""
    if isinstance(file, zipfile.ZipFile):
        for info in file.infolist():
            mode = info.external_attr >> 16
            kind = "folder" if info.is_dir() else "file"
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "a link" if stat.S_ISLNK(mode) else "a device or the like"
            elif info.flag_bits & 1:
                kind = "encrypted: unpack the archive yourself, with its password, and give the folder; it is"
            yield Member(info.filename, kind, info.file_size, info)
        return
    for entry in file:
        kind = "file" if entry.isreg() else "folder" if entry.isdir() else "a device or the like"
        yield Member(entry.name, "a link" if entry.issym() or entry.islnk() else kind, entry.size, entry)
    source: Any = file.fileobj
    source.seek(file.offset)
    if source.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise EOFError("it ends without the mark of its end")  # which tarfile takes for an end like any other


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    """Gives an archive opened for reading, of which no more than a little is read at a time."""
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as file:
            yield file
        return
    raw: Any = archive.open("rb") if archive.name.lower().endswith(".tar") else GzipFile(archive)
    source: Any = _BoundedReads(raw)
    with raw, tarfile.open(fileobj=source, mode="r:") as file:
        yield file


class _BoundedReads:
    """A file of which no more than a little is read at a time: a header can't ask for all the memory there is."""

    def __init__(self, raw: Any) -> None:
        self.seek, self.tell, self._read = raw.seek, raw.tell, raw.read

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= SMALL:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        content: bytes = self._read(size)
        return content


def _extract(file: zipfile.ZipFile | tarfile.TarFile, member: Member, target: Path) -> None:
    """Ensures that a folder has a member, of no more bytes than it says; both libraries see to that."""
    if isinstance(file, zipfile.ZipFile):
        file.extract(member.source, target)
    else:
        file.extract(member.source, target, filter="data")
