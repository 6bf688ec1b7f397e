"""The recorder: one process per checkout that takes spools to MLflow while a pipeline runs, and then ends.

Stages start it with a folder. ``python -m pipeline.tracking.recorder`` by hand sends whatever still waits.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from pipeline import locking
from pipeline.tracking import lineage, spool
from pipeline.tracking.address import masked, refuse_unusable, tracking_uri, unmasked
from pipeline.tracking.runs import tracking_folder
from pipeline.tracking.store import RefusedError, Store, UnreachableError

log = logging.getLogger("recorder")

POLL_SECONDS = 0.2
RETRY_SECONDS = 10.0
SYSTEM_METRICS_SECONDS = 10.0

HEADER, PROCESS = {"process", "root", "experiment", "uri"}, {"host", "pid", "started", "name", "key"}
"""What is needed of a pipeline.json, and of its process."""

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}
"""Environment for MLflow, where the user's own says nothing else."""


class Child:
    """One stage's spool: how far it has been taken to the store, and the run it became there."""

    def __init__(self, path: Path):
        self.path = path
        self.run: str | None = None
        self.start: dict[str, Any] = {}
        self.end: dict[str, Any] = {}
        self.sample_at = 0.0
        self._offset = 0

    def forward(self, store: Store, parent_of: Callable[[dict[str, Any]], str]) -> None:
        """Takes what is new to the store; what fails on the way is taken again next time."""
        if self.end:
            return
        is_alive = locking.is_held(self.path)
        events, offset = spool.read(self.path, self._offset)
        ends = [event for event in events if event["event"] == "end"]
        if not is_alive and not ends:
            ends = [{"event": "end", "status": "KILLED", "time": self.path.stat().st_mtime}]
            events += ends
        if not events:
            return
        if events[0]["event"] == "start":
            self.start = events[0]
        if self.start and self.run is None:
            name = " ".join(filter(None, [self.start["stage"], self.start["name"]]))
            tags, start = self.start["tags"], self.start["time"]
            parent = parent_of(self.start)
            self.run = store.run("spool", self.path.stem, name=name, start=start, tags=tags, parent=parent)
            self._write_id(self.run)
        if self.run:
            store.send(self.run, events)
        self._offset = offset
        self.end = ends[0] if ends else {}

    def report_no_run(self) -> None:
        """Tells a stage that waits for its run's id not to."""
        if self.run is None and not self.path.with_suffix(".id").exists():
            self._write_id("")

    def _write_id(self, run: str) -> None:
        unseen = self.path.with_suffix(".id.new")
        unseen.write_text(run)
        unseen.replace(self.path.with_suffix(".id"))


class Pipeline:
    """One execution of the pipeline: a folder of spools, and the run whose children their runs are."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.header = _header(folder / "pipeline.json")
        self.problem = ""
        self.children: dict[str, Child] = {}
        self.store: Store | None = None
        self.run: str | None = None
        self.is_over = False

    def find_spools(self) -> None:
        """Finds new spools, and whether the pipeline is over: its process gone, and no stage of it alive.

        Trials come after the stages that they lie in, so that these have a run by then.
        """
        found = self.folder.glob("*.jsonl")
        for path in sorted(found, key=lambda path: (path.stem.startswith("trial-"), path.stat().st_mtime_ns)):
            if path.stem not in self.children:
                self.children[path.stem] = Child(path)
        self.is_over = not lineage.is_running(self.header["process"]) and not self._living()

    def forward(self) -> None:
        """Takes what is new to the store; the folder is removed once the pipeline is over and all of it sent."""
        if self.children:
            self.store = self.store or Store(self._address(), self.header["experiment"])
            self.run = self.run or self._start(self.store)
            for child in self.children.values():
                child.forward(self.store, self._parent_of)
            if self.is_over:
                self._end(self.store, self.run)
        if self.is_over:
            shutil.rmtree(self.folder)

    def report_no_run(self) -> None:
        """Tells every stage that waits for its run's id not to."""
        for child in self.children.values():
            child.report_no_run()

    def sample(self, machine: Machine) -> None:
        """Adds the state of the machine to what its living stages say, every few seconds; but not to trials."""
        now = time.time()
        for child in self._living():
            if child.start and not child.start.get("within") and now >= child.sample_at:
                child.sample_at = now + SYSTEM_METRICS_SECONDS
                step = int((now - child.start["time"]) / SYSTEM_METRICS_SECONDS)
                values = machine.sample()
                event = {"event": "metrics", "time": now, "step": step, "values": values, "system": True}
                with contextlib.suppress(OSError):  # a full disk costs a sample, not the recorder
                    spool.append(child.path, event)

    def _address(self) -> str:
        """Returns where the runs go: to the address of now, where that of then can't be one.

        Raises:
            RefusedError: when neither can, or the environment has no password for it.
        """
        now = tracking_uri(self.folder.parents[2])
        try:
            address = unmasked(self.header["uri"], os.environ)
            with contextlib.suppress(ValueError):
                refuse_unusable(address)
                return address
            refuse_unusable(now)
        except ValueError as error:
            raise RefusedError(str(error)) from None
        return now

    def _parent_of(self, start: dict[str, Any]) -> str:
        """Returns the run that a run with this first event belongs to: a stage's for a trial, else the pipeline's."""
        stage = self.children.get(start.get("within") or "")
        parent = stage.run if stage else self.run
        assert parent is not None, "runs are made from the outside in"
        return parent

    def _living(self) -> list[Child]:
        return [child for child in self.children.values() if not child.end and locking.is_held(child.path)]

    def _start(self, store: Store) -> str:
        process = self.header["process"]
        tags = {"host": process["host"], "pid": str(process["pid"])}
        name, start = process["name"], process["started"]
        return store.run("pipeline", process["key"], name=name, start=start, tags=tags, parent=None)

    def _end(self, store: Store, run: str) -> None:
        """Ends the run of the pipeline, and adds to each stage's run the DVC hashes of what it made."""
        root = Path(self.header["root"])
        for child in self.children.values():
            if child.run and child.end["status"] == "FINISHED" and (stage := child.start["tags"]["dvc.stage"]):
                outs = lineage.dvc_outs(root, stage)
                store.tag(child.run, {f"dvc.out.{out}": md5 for out, md5 in outs.items()})
        stages = [child for child in self.children.values() if not child.start.get("within")]
        bad = [child.end["status"] for child in stages if child.end["status"] != "FINISHED"]
        end = max(child.end["time"] for child in self.children.values())
        store.end(run, bad[0] if bad else "FINISHED", end)


def _header(file: Path) -> dict[str, Any]:
    """Returns what is known of a pipeline.

    Raises:
        ValueError: when the file is cut short, or not of this project.
    """
    header = json.loads(file.read_text())
    process = header.get("process") if isinstance(header, dict) else None
    if not isinstance(process, dict):
        raise ValueError("it names no process")
    if missing := sorted((HEADER - header.keys()) | (PROCESS - process.keys())):
        raise ValueError(f"without {', '.join(missing)}")
    return header


class Machine:
    """The state of this machine, under the names MLflow uses for it."""

    def __init__(self) -> None:
        from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

        psutil.cpu_percent()
        self._gpus: GPUMonitor | None = None
        with contextlib.suppress(ImportError, RuntimeError):
            self._gpus = GPUMonitor()

    def sample(self) -> dict[str, float]:
        """Returns use of processors and memory, and of GPUs where there are any."""
        memory = psutil.virtual_memory()
        values = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / 1e6,
            "system_memory_usage_percentage": memory.percent,
        }
        if self._gpus:
            self._gpus.collect_metrics()
            values |= self._gpus.aggregate_metrics()
            self._gpus.clear_metrics()
        return {f"system/{name}": value for name, value in values.items()}


def record(folder: Path) -> dict[Path, str]:
    """Forwards every pipeline in ``folder`` until all are over; returns the folders of the unsent, and why.

    What is wrong with one of them stops no other.
    """
    pipelines: dict[Path, Pipeline] = {}
    unreadable: dict[Path, str] = {}
    machine = Machine()
    silent_until: dict[str, float] = {}
    while True:
        for place in (
            {header.parent for header in folder.glob("*/pipeline.json")} - pipelines.keys() - unreadable.keys()
        ):
            try:
                pipelines[place] = Pipeline(place)
            except (OSError, ValueError) as error:
                unreadable[place] = f"its pipeline.json can't be read ({error}): remove the folder"
                log.warning("%s: %s", place, unreadable[place])
        for pipeline in pipelines.values():
            _take(pipeline, silent_until)
            pipeline.sample(machine)
        pipelines = {place: pipeline for place, pipeline in pipelines.items() if place.is_dir()}
        if all(pipeline.is_over for pipeline in pipelines.values()):
            return unreadable | {place: pipeline.problem for place, pipeline in pipelines.items()}
        time.sleep(POLL_SECONDS)


def _take(pipeline: Pipeline, silent_until: dict[str, float]) -> None:
    """Takes what is new of a pipeline to its store, unless this has not answered just now; says what went wrong."""
    uri, before, cause = pipeline.header["uri"], pipeline.problem, None
    try:
        pipeline.find_spools()
        if time.monotonic() > silent_until.get(uri, 0.0):
            pipeline.problem = ""
            pipeline.forward()
        else:
            pipeline.problem = before or f"{uri} has not answered just now"
    except UnreachableError as error:
        how = "refuses" if isinstance(error, RefusedError) else "does not answer now"
        pipeline.problem = f"{uri} {how}: {error}"
        silent_until[uri] = time.monotonic() + RETRY_SECONDS
    except Exception as error:
        pipeline.problem = f"its lines can't be understood ({type(error).__name__}: {error})"
        cause = error
    if pipeline.problem:
        pipeline.report_no_run()
        if pipeline.problem != before:
            log.warning("%s waits: %.500s", pipeline.folder, pipeline.problem, exc_info=cause)


def run(folder: Path) -> dict[Path, str]:
    """Records unless ``folder`` has a recorder already; returns the folders of what could not be sent, and why."""
    unsent: dict[Path, str] = {}
    while {header.parent for header in folder.glob("*/pipeline.json")} - unsent.keys():
        held = locking.hold(folder / "recorder.lock")
        if held is None:
            break
        try:
            unsent = record(folder)
        finally:
            held.release()
    return unsent


class Masked(logging.Formatter):
    """Writes records of any library without the passwords in them."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns a line, and the traceback."""
        return masked(super().format(record))


def main() -> None:
    """Runs the recorder of the folder given, or else sends what waits in this project. Its status is always 0."""
    os.environ.pop("MLFLOW_RUN_ID", None)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    by_hand = len(sys.argv) == 1
    logging.basicConfig(level=logging.CRITICAL if by_hand else logging.WARNING)
    logging.getLogger().handlers[0].setFormatter(Masked("%(asctime)s %(message)s"))
    folder = tracking_folder() if by_hand else Path(sys.argv[1])
    try:
        deadline = time.monotonic() + 2 * RETRY_SECONDS
        while by_hand and locking.is_locked(folder / "recorder.lock") and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        unsent = run(folder)
    except Exception:
        log.exception("recording has ended")
        unsent = {folder: masked(traceback.format_exc(limit=0).strip())}
    for place, why in unsent.items() if by_hand else ():
        print(f"not sent yet, the runs in {place} wait: {why}")


if __name__ == "__main__":
    main()
