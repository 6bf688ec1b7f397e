"""Locks between the processes of a machine, on files: given back when their process ends, however it ends.

Such a file stays where it is: whoever removed it would leave two processes with a lock each.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NewType

PATIENCE_SECONDS = 5.0
"""How long ``alone`` waits: who tidies up takes the lock of a folder too, while it is removed."""

Held = NewType("Held", int)
"""The open file that holds a lock; closing it, or the end of the process, gives the lock back."""


@contextmanager
def alone(folder: Path, doing: str) -> Iterator[None]:
    """Within it, no other process of this machine is alone with ``folder``, whose lock lies beside it.

    Raises:
        ValueError: when one is all the time, saying what is being done: ``doing`` is a participle.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    held = hold(folder.with_name(f"{folder.name}.lock"), patience_seconds=PATIENCE_SECONDS)
    if held is None:
        raise ValueError(f"{folder} is being {doing} by another process: wait for it, or stop it")
    try:
        yield
    finally:
        release(held)


def hold(path: Path, *, patience_seconds: float = 0.5) -> Held | None:
    """Returns the lock of ``path``, made if absent, or None when another process holds it all the time.

    A little patience is always needed, because ``is_held`` of another process takes the lock for a moment.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Held(file)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(file)
                return None
        time.sleep(0.01)


def release(held: Held) -> None:
    """Gives a lock back."""
    os.close(held)


def is_held(path: Path) -> bool:
    """Returns whether a process that still lives holds ``path``."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
