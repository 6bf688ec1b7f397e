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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from pipeline import locking
from pipeline.tracking import lineage, spool
from pipeline.tracking.runs import tracking_folder
from pipeline.tracking.store import Store, UnreachableError

log = logging.getLogger("recorder")

POLL_SECONDS = 0.2
RETRY_SECONDS = 10.0
SYSTEM_METRICS_SECONDS = 10.0

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
        self.header: dict[str, Any] = json.loads((folder / "pipeline.json").read_text())
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
            self.store = self.store or Store(self.header["uri"], self.header["experiment"])
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


def record(folder: Path) -> list[Pipeline]:
    """Forwards every pipeline in ``folder`` until all are over; returns those that could not be sent."""
    pipelines: dict[Path, Pipeline] = {}
    machine = Machine()
    silent_until: dict[str, float] = {}
    while True:
        for header in folder.glob("*/pipeline.json"):
            if header.parent not in pipelines:
                pipelines[header.parent] = Pipeline(header.parent)
        for pipeline in pipelines.values():
            uri = pipeline.header["uri"]
            pipeline.find_spools()
            try:
                if time.monotonic() > silent_until.get(uri, 0.0):
                    pipeline.forward()
            except UnreachableError as error:
                log.warning("%s does not answer, its runs wait in %s: %.300s", uri, folder, error)
                silent_until[uri] = time.monotonic() + RETRY_SECONDS
            if uri in silent_until:
                pipeline.report_no_run()
            pipeline.sample(machine)
        pipelines = {path: pipeline for path, pipeline in pipelines.items() if path.is_dir()}
        if all(pipeline.is_over for pipeline in pipelines.values()):
            return list(pipelines.values())
        time.sleep(POLL_SECONDS)


def run(folder: Path) -> list[Pipeline]:
    """Records unless ``folder`` has a recorder already; returns what could not be sent."""
    unsent: list[Pipeline] = []
    while {header.parent for header in folder.glob("*/pipeline.json")} - {pipeline.folder for pipeline in unsent}:
        held = locking.hold(folder / "recorder.lock")
        if held is None:
            break
        try:
            unsent = record(folder)
        finally:
            held.release()
    return unsent


def main() -> None:
    """Runs the recorder of the folder given, or else sends what waits in this project."""
    os.environ.pop("MLFLOW_RUN_ID", None)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if len(sys.argv) > 1:
        logging.basicConfig(format="%(asctime)s %(message)s")
        run(Path(sys.argv[1]))
    elif (folder := tracking_folder()).is_dir():
        logging.basicConfig(level=logging.ERROR)
        deadline = time.monotonic() + 2 * RETRY_SECONDS
        while locking.is_held(folder / "recorder.lock") and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        for pipeline in run(folder):
            print(f"{pipeline.header['uri']} does not answer: the runs in {pipeline.folder} are sent later")


if __name__ == "__main__":
    main()
