"""What a stage says about its run, as lines of JSON in a file that only ever grows: its spool.

``<root>/.runs/tracking/<pipeline>/pipeline.json`` describes one execution of the pipeline,
``<stage>-<key>.jsonl`` beside it is the spool of one stage, and ``<stage>-<key>.id`` is the MLflow run that
the recorder made for it. A stage holds a lock on its spool for as long as it lives, so whoever reads it can
tell a quiet stage from a dead one.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from filelock import FileLock

from pipeline import locking

log = logging.getLogger(__name__)

PRIVATE = 0o600
"""Of what may say where a server is, and who asks it."""


def create(path: Path) -> FileLock:
    """Makes an empty spool and returns its lock; nobody sees it unlocked before its stage has ended."""
    unseen = path.with_suffix(".new")
    held = locking.hold(unseen)
    assert held is not None, f"{unseen} belongs to this process alone"
    unseen.rename(path)
    return held


def append(path: Path, event: dict[str, Any]) -> None:
    """Adds ``event`` as one line, in one write, so that lines of several processes never mix."""
    line = (json.dumps(event) + "\n").encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def read(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Returns the whole lines after byte ``offset`` as events, and the offset after the last of them.

    A line that a full disk cut short is left out.
    """
    with path.open("rb") as file:
        file.seek(offset)
        lines = file.read()
    whole = lines[: lines.rfind(b"\n") + 1]
    events = []
    for line in whole.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            log.warning("%s: broken line left out: %r", path, line[:80])
    return events, offset + len(whole)


def write_once(path: Path, value: dict[str, Any]) -> None:
    """Writes ``value`` as JSON unless ``path`` is already there; readers see all of it or nothing."""
    if path.exists():
        return
    unseen = path.with_name(f".{path.name}.{os.getpid()}")
    unseen.touch(PRIVATE)
    unseen.write_text(json.dumps(value))
    unseen.replace(path)
