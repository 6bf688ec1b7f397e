"""Why a file or folder can't be written, in words: where it is, how much room there is, and what to do."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM}
IN_THE_WAY = {errno.EEXIST, errno.EBUSY, errno.ENOTDIR, errno.ENOTEMPTY, errno.EXDEV}
PLACES = ("data", "artifacts", "results", ".runs")
"""Where the stages write, from the project's root."""
NAMED = re.compile(r"local file '([^']+)'")
"""How Arrow names a file, in its text alone."""
SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
"""What numpy says of a full disk, without a number."""
NUMBERED = re.compile(r"\(os error (\d+)\)|\[[Ee]rrno (\d+)\]")
"""How libraries that are not Python's write the number into their text."""
ROOM = "Free some space or raise the quota, then run the same command again: it goes on from what is whole"


def why_not_written(error: BaseException, places: Iterable[Path] = ()) -> str | None:
    """Returns what keeps an output from being written and what to do, or None when the error is none of this kind.

    ``places`` are where the command writes beside ``PLACES``: they are looked at when the error names no file.
    """
    number, path = _number(error), _path(error)
    if number in FULL:
        what, where = (path, [path]) if path else ("an output", [*places, *_written_to()])
        return f"{what} could not be written: {_room(where)} ({_reason(error)}). {ROOM}"
    if path is None:
        return None
    if number == errno.EROFS:
        return _read_only(path)
    if number in FORBIDDEN:
        return _forbidden(path)
    if number == errno.EISDIR:
        return f"{path} is a folder, and a file is expected there. Move it away, or name another place"
    return in_the_way(path) if number in IN_THE_WAY else None


def check_replaceable(folder: Path) -> None:
    """Ensures that an output which is replaced as a whole can be put there; nothing need be there yet.

    Raises:
        ValueError: for a mount point, a link or a file, and below a file.
    """
    if why := in_the_way(folder):
        raise ValueError(why)


def check_room(folder: Path, num_bytes: int, what: str) -> None:
    """Ensures that there is room for so many bytes in ``folder``, which need not be there yet.

    Raises:
        ValueError: when there is less, saying where and how much, or its file system is read-only.
    """
    if os.statvfs(_there(folder)).f_flag & os.ST_RDONLY:
        raise ValueError(_read_only(folder))
    free = free_bytes(folder)
    if num_bytes > free:
        raise ValueError(
            f"{what} take {megabytes(num_bytes)} in {folder}, and the file system at {mount_of(folder)} has "
            f"{megabytes(free)} free: make room there"
        )


def in_the_way(path: Path) -> str | None:
    """Returns what stands where an output is to be put and can't be replaced, or None for a plain folder."""
    if path.is_symlink():
        return (
            f"{path} is a link to {path.readlink()}, and an output there is replaced as a whole. "
            f"Remove the link; to have it on another disk, let {path.parent} be the link"
        )
    if path.is_mount():
        return (
            f"{path} is a mount point, and an output there is replaced as a whole, which a mount point can't be. "
            f"Mount that file system at {path.parent}, or name another folder"
        )
    file = next((above for above in (path, *path.parents) if above.exists() and not above.is_dir()), None)
    if file is not None:
        return f"{file} is a file, and a folder is expected there. Move it away, or name another place"
    return None


def free_bytes(folder: Path) -> int:
    """Returns how much this user may still write to the file system on which a folder is, or would be."""
    return shutil.disk_usage(_there(folder)).free


def mount_of(path: Path) -> Path:
    """Returns where the file system is mounted on which a path is, or would be."""
    there = _there(path).resolve()
    return next(folder for folder in (there, *there.parents) if folder.is_mount())


def megabytes(num_bytes: int) -> str:
    """Returns a size as people read it."""
    return f"{num_bytes / 1e6:,.1f} MB"


def _number(error: BaseException) -> int | None:
    """Returns the number of the system's error that is behind an error, if any."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, OSError) and SHORT_WRITE.search(str(error)):
        return errno.ENOSPC
    found = NUMBERED.search(str(error)) if isinstance(error, OSError | RuntimeError) else None
    return int(found[1] or found[2]) if found else None


def _path(error: BaseException) -> Path | None:
    """Returns the file that an error names; of two, as of a renaming, the one that was to be made."""
    names = [getattr(error, name, None) for name in ("filename2", "filename")]
    names += NAMED.findall(str(error))
    return next((Path(os.fsdecode(name)).absolute() for name in names if isinstance(name, str | bytes)), None)


def _written_to() -> list[Path]:
    """Returns the folders that may be file systems of their own and that stages write to."""
    within = [folder for place in PLACES for folder in Path(place).glob("*") if folder.is_dir()]
    return [Path(), *map(Path, PLACES), *within, Path(tempfile.gettempdir())]


def _room(places: Iterable[Path]) -> str:
    """Returns the file systems of places with what is free there, the fullest first."""
    free: dict[Path, int] = {}
    for place in places:
        free.setdefault(mount_of(place), free_bytes(place))
    fullest_first = sorted(free, key=free.__getitem__)
    return ", ".join(f"the file system at {mount} has {megabytes(free[mount])} free" for mount in fullest_first)


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


def _read_only(path: Path) -> str:
    return (
        f"{path} could not be written: the file system at {mount_of(path)} is read-only. "
        "Mount it writable, or name a folder of another one"
    )


def _forbidden(path: Path) -> str:
    there = _there(path)
    found = there.stat()
    return (
        f"{path} may not be read or written by this user ({os.getuid()}): {there} is of user {found.st_uid} and has "
        f"the rights {found.st_mode & 0o7777:04o}. Have the rights changed, or name another place"
    )


def _there(path: Path) -> Path:
    """Returns a path, or the nearest folder above it that is there and can be looked at."""
    path = path.absolute()
    return next(above for above in (path, *path.parents) if os.access(above, os.F_OK))
