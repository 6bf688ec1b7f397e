"""What trainings, searches and Ray leave behind and nobody will use again. Results are never among it.

A folder that a process trains into, searches in or writes to is never among it either: of the first two kinds by their
locks, which are held while they are removed.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline import locking
from pipeline.cleanup.current import Kind

RUN = re.compile(r"(.+)-[0-9a-f]{16}")
SESSION = re.compile(r"session_.+_(\d+)")
QUIET_SECONDS = 600.0
"""Ray's processes write to their session every few seconds; one that was silent for so long has none."""

Current = Callable[[Kind, str], list[str]]
"""The folders in which a training or search of that name would go on now, as in ``current_folders``."""


@dataclass(frozen=True)
class Leftover:
    """A file or folder that may go, and why; ``lock`` is the file that is locked while it is in use, if any."""

    path: Path
    why: str
    lock: Path | None = None

    def size(self) -> int:
        """Returns how many bytes of disk it takes."""
        return disk_use([self.path])

    def remove(self) -> int | None:
        """Returns how many bytes it has freed; None where it came into use meanwhile, or can't be removed."""
        held = locking.hold(self.lock, patience_seconds=0.0) if self.lock else None
        if self.lock and held is None:
            return None
        size = self.size()
        try:
            shutil.rmtree(self.path) if self.path.is_dir() else self.path.unlink(missing_ok=True)
        except OSError as error:
            print(f"{self.path}: {error}", file=sys.stderr)
            return None
        finally:
            if held is not None:
                held.release()
        return size


def disk_use(paths: Iterable[Path]) -> int:
    """Returns how many bytes files and folders take on the disk, each file once, links not followed."""
    total, seen = 0, set()
    for path in paths:
        for file in (path, *path.rglob("*")) if path.is_dir() and not path.is_symlink() else (path,):
            try:
                found = file.lstat()
            except OSError:
                continue
            if found.st_ino not in seen:
                seen.add(found.st_ino)
                total += found.st_blocks * 512
    return total


def find_runs(runs: Path, current: Current) -> Iterator[Leftover]:
    """Yields unfinished trainings and searches that nothing goes on with: made by other parameters, data or code.

    Where it can't be known what would go on (data that is not there, say) the folder is kept, which is said.
    """
    kinds: tuple[tuple[Kind, Path, str], ...] = (("train", runs, "training"), ("tune", runs / "tune", "search"))
    for kind, place, what in kinds:
        for folder in sorted(path for path in place.glob("*-*") if path.is_dir() and RUN.fullmatch(path.name)):
            lock = folder.with_name(f"{folder.name}.lock")
            if locking.is_locked(lock):
                continue
            name = folder.name.rpartition("-")[0]
            try:
                now = current(kind, name)
            except ValueError as error:
                print(f"kept: {folder}, an unfinished {what} that may go on ({error})", file=sys.stderr)
                continue
            if folder.name not in now:
                why = "by other parameters, data or code" if now else "that params.yaml has no more"
                yield Leftover(folder, f"an unfinished {what} {why}", lock)


def find_ray_storage(runs: Path) -> Iterator[Leftover]:
    """Yields what Ray Train keeps of trainings that are not going on: they go on from checkpoints of their own."""
    for folder in sorted(path for path in (runs / "ray").glob("*") if path.is_dir()):
        lock = runs / f"{folder.name}.lock"
        if not locking.is_locked(lock):
            yield Leftover(
                folder, "Ray's storage of a training that is over or stopped", lock if lock.exists() else None
            )


def find_ray_sessions(folder: Path) -> Iterator[Leftover]:
    """Yields this user's sessions of Ray in its temporary folder that no process uses."""
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    for session in sorted(folder.glob("session_*")):
        started_by = SESSION.fullmatch(session.name)
        if session.is_symlink() or not started_by or session.lstat().st_uid != os.getuid():
            continue
        is_used = psutil.pid_exists(int(started_by[1])) or any(session.name in command for command in commands)
        if not is_used and time.time() - last_write(session) > QUIET_SECONDS:
            yield Leftover(session, "a session of Ray that no process uses")


def find_records(runs: Path, names: Collection[str]) -> Iterator[Leftover]:
    """Yields records of what is gone: spools that belong to no pipeline, and costs and kept outputs of other names."""
    for folder in sorted(path for path in (runs / "tracking").glob("*") if path.is_dir()):
        spools = list(folder.glob("*.jsonl"))
        if not (folder / "pipeline.json").is_file() and not any(map(locking.is_locked, spools)):
            yield Leftover(folder, "recorded lines that belong to no run")
    for file in sorted((runs / "usage").glob("*.json")):
        name = file.stem.partition(" ")[2].rpartition("@")[2]  # of RECIPE@DATA, which is not declared, the data
        if name and name not in names:
            yield Leftover(file, "what a stage has cost that params.yaml has no more")
    for folder in sorted((runs / "finished" / "artifacts").glob("*/*")):
        if folder.name not in names:
            yield Leftover(folder, "kept of what params.yaml has no more, or of a copy that was cut short")


def last_write(folder: Path) -> float:
    """Returns when something in a folder was last written to."""
    times = [folder.lstat().st_mtime]
    for path in folder.rglob("*"):
        try:
            times.append(path.lstat().st_mtime)
        except OSError:
            continue
    return max(times)
