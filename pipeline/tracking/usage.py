"""What stages cost: how long the last execution of each took, and how much memory its processes held at once."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import threading
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil

log = logging.getLogger(__name__)

SECONDS_BETWEEN_SAMPLES = 2.0
RECORDER = "pipeline.tracking.recorder"


@dataclass(frozen=True)
class Usage:
    """One execution of a stage that ended well.

    ``peak_memory_megabytes``: the most resident memory (10^6 bytes) of the stage's process and those below it, by
    samples; pages that several of them share are counted for each. ``processors``: of the machine.
    """

    stage: str
    name: str
    seconds: float
    peak_memory_megabytes: float
    processors: int
    commit: str


class Watch:
    """Watches this process and those it starts, but for the recorder, from the moment it is made until ``stop``."""

    def __init__(self) -> None:
        self._begun, self._peak = time.monotonic(), 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="usage", daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, float]:
        """Returns ``seconds`` and ``peak_memory_megabytes``."""
        seconds = time.monotonic() - self._begun
        self._over.set()
        self._thread.join()
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        return {"seconds": seconds, "peak_memory_megabytes": max(self._peak, own)}

    def _sample(self) -> None:
        while True:
            self._peak = max(self._peak, _resident_megabytes())
            if self._over.wait(SECONDS_BETWEEN_SAMPLES):
                return


def write(folder: Path, usage: Usage) -> None:
    """Ensures that ``folder`` holds the usage in place of that of the execution before; a full disk costs it only."""
    file = folder / f"{' '.join(filter(None, [usage.stage, usage.name]))}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unseen = file.with_name(f".{file.name}.{os.getpid()}")
        unseen.write_text(json.dumps(asdict(usage), indent=1) + "\n")
        unseen.replace(file)
    except OSError as error:
        log.warning("what %s cost is not recorded: %s", file.stem, error)


def read(folder: Path) -> list[Usage]:
    """Returns the last usage of every stage that has been recorded, by the names of their files."""
    known = {field.name for field in fields(Usage)}
    trees = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    return [Usage(**tree) for tree in trees if tree.keys() == known]


def _resident_megabytes() -> float:
    process, total = psutil.Process(), 0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += 0 if RECORDER in one.cmdline() else one.memory_info().rss
    return total / 1e6
