"""Locks between the processes of a machine, on files: given back when their process ends, however it ends.

Such a file stays where it is: whoever removed it would leave two processes with a lock each.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

PATIENCE_SECONDS = 5.0
"""How long ``exclusive_lock`` waits: who tidies up takes the lock of a folder too, while it is removed."""


@contextmanager
def exclusive_lock(folder: Path, doing: str, *, waits: bool = False) -> Iterator[None]:
    """Within it, no other process of this machine holds the lock of ``folder``, which lies beside it.

    ``waits``: for as long as another one holds it, which is said: for what several need and any of them may make.

    Raises:
        ValueError: when one holds it all the time, saying what is being done: ``doing`` is a participle.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f"{folder.name}.lock")
    held = hold(lock, patience_seconds=PATIENCE_SECONDS)
    if held is None and waits:
        print(f"{folder} is being {doing} by another process: waiting for it", file=sys.stderr, flush=True)
        held = hold(lock, patience_seconds=-1)
    if held is None:
        raise ValueError(f"{folder} is being {doing} by another process: wait for it, or stop it")
    try:
        yield
    finally:
        held.release()


def hold(path: Path, *, patience_seconds: float = 0.5) -> FileLock | None:
    """Returns the lock of ``path``, made if absent, or None when another process holds it all the time.

    It is held until its ``release``, or the end of its process. Negative patience never ends; a little is always
    needed, because ``is_held`` of another process takes the lock for a moment.
    """
    lock = FileLock(path, thread_local=False, poll_interval=0.01, fallback_to_soft=False)
    try:
        lock.acquire(patience_seconds)
    except Timeout:
        return None
    return lock


def is_held(path: Path) -> bool:
    """Returns whether a process that still lives holds ``path``; many may ask at once."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def is_locked(path: Path) -> bool:
    """Returns whether a process that still lives holds ``path``; one that is not there is not made."""
    return path.exists() and is_held(path)
