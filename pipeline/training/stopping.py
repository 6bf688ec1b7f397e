"""Ending a training early, by a file in its run folder: so one signal reaches workers on other machines too.

The first worker looks for the file in every step, and what it sees goes along in a sum that all workers make anyway:
they stop after the same step, from whose checkpoint the training goes on bit for bit.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

REQUEST = "stop"
STATUS = 128 + signal.SIGTERM
"""The exit status of what SIGTERM has ended, as shells and schedulers know it."""
SEEN = b"SIGTERM: saving after the next step; a second one ends at once\n"


class StoppedError(KeyboardInterrupt):
    """A training was asked to stop, has saved where it was, and can go on from there."""


def is_requested(run_folder: Path) -> bool:
    """Returns whether the training in the run folder is to stop."""
    return (run_folder / REQUEST).exists()


@contextmanager
def on_sigterm(run_folder: Path) -> Iterator[None]:
    """Within it, a first SIGTERM asks the training to stop after its next step, and a second ends the process at once.

    What was asked before is forgotten. Outside the main thread, as in a trial of a search, signals are left as they
    are.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    request = run_folder / REQUEST
    request.unlink(missing_ok=True)

    def ask(number: int, frame: FrameType | None) -> None:
        if request.exists():
            sys.exit(STATUS)
        request.touch()
        os.write(2, SEEN)  # print may be interrupted by this very signal

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        request.unlink(missing_ok=True)
