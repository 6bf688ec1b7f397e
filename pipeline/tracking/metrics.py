"""The one place where metrics of a run are written while it trains."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.tracking import spool

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MetricsWriter:
    """Writes metrics of one run. A string and nothing else, so it travels to where training is controlled.

    It adds a line to the run's spool, about 30 microseconds, and never asks the network for anything: the
    recorder, a process of its own, takes the lines to MLflow in batches. So a dead tracking server neither
    stops nor slows training, and what it missed is sent later. ``path`` is the spool's absolute path, or None
    to write nothing.
    """

    path: str | None

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Writes ``values`` as of ``step`` (an epoch). Never raises: a full disk costs metrics only."""
        if self.path is None or not values:
            return
        numbers = {name: float(value) for name, value in values.items()}
        try:
            spool.append(Path(self.path), {"event": "metrics", "time": time.time(), "step": step, "values": numbers})
        except OSError as error:
            log.warning("metrics of step %d are lost: %s", step, error)

    def complete(self, history: Sequence[Mapping[str, float]]) -> list[Mapping[str, float]]:
        """Ensures that all epochs of a training are written, and returns those that were not; the first is 1.

        An epoch can be missing where a process was stopped after it was saved and before it was reported.
        """
        written = {row["step"] for row in self.history()}
        late = {epoch: row for epoch, row in enumerate(history, start=1) if epoch not in written}
        for epoch, row in late.items():
            self.log(epoch, {name: value for name, value in row.items() if name != "epoch"})
        return list(late.values())

    def history(self) -> list[dict[str, Any]]:
        """Returns one row a step, ``{step, name: value, ...}``, sorted by step: a table for plots."""
        rows: dict[int, dict[str, Any]] = {}
        for event in spool.read(Path(self.path), 0)[0] if self.path else []:
            if event["event"] == "metrics" and not event.get("system"):
                rows.setdefault(event["step"], {"step": event["step"]}).update(event["values"])
        return [rows[step] for step in sorted(rows)]
