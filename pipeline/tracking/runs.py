"""Runs of stages, as the stages see them: open one, say things about it, never wait for a tracking server.

Everything said is a line in the run's spool (``spool.py``); one recorder process per checkout
(``recorder.py``) takes the lines to MLflow. So no stage pays for importing MLflow, and none notices whether a
server answers. ``REID_TRACKING=off`` writes nothing at all. ``MLFLOW_TRACKING_URI`` and
``MLFLOW_EXPERIMENT_NAME`` are obeyed; the default store is ``mlflow.db`` in the project's root.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from pipeline import locking
from pipeline.provenance import git_commit
from pipeline.tracking import lineage, spool, usage
from pipeline.tracking.address import masked, refuse_unusable, tracking_uri
from pipeline.tracking.metrics import MetricsWriter

log = logging.getLogger(__name__)

GROUPED_BY = ("method", "seed", "data")
"""Keys of an experiment that are tags of its runs too: MLflow groups runs by tags."""
RECORDER_LOG = "recorder.log"
ID_PATIENCE_SECONDS = 20.0
"""How long a stage waits for its run's id: a new database takes up to 15 s, a dead server none."""


class StageRun:
    """One stage's run. Every method returns at once and none raises for reasons of tracking."""

    def __init__(self, path: Path | None = None):
        self._path = path

    @property
    def id(self) -> str | None:
        """The MLflow run id, or None when tracking is off or its store does not answer.

        Usually known within a second of the stage's start; ask late, when the out is written.
        """
        deadline = time.monotonic() + ID_PATIENCE_SECONDS
        while self._path and time.monotonic() < deadline:
            if (answer := self._path.with_suffix(".id")).is_file():
                return answer.read_text() or None
            time.sleep(0.02)
        return None

    def writer(self) -> MetricsWriter:
        """Returns the picklable writer of this run's metrics, for the process that controls a training."""
        return MetricsWriter(str(self._path) if self._path else None)

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Writes ``values`` as of ``step``."""
        self.writer().log(step, values)

    def log_artifact(self, path: Path | str) -> None:
        """Copies a small file, as it is now, into the run: tables and figures; weights belong to DVC."""
        file = Path(path).absolute()
        self._say({"event": "artifact", "path": str(file), "changed": file.stat().st_mtime_ns})

    def register_model(
        self,
        folder: Path | str,
        *,
        name: str,
        source_run: str | None,
        metrics: Mapping[str, float],
        data: Path | str,
    ) -> None:
        """Registers the checkpoint in ``folder`` as a model that DVC keeps, and ties ``metrics`` to it.

        ``source_run`` is the id of the run that trained it (from the checkpoint's meta.json), ``data`` what
        it was scored on; both model and data are named by their DVC hashes. What the checkpoint says of its training
        becomes parameters and tags of this run, so that scores can be compared by them.
        """
        self._say({"event": "subject", **_subject(_experiment_of(Path(folder)))})
        self._say(
            {
                "event": "model",
                "name": name,
                "folder": str(folder),
                "digest": lineage.dvc_hash(Path.cwd(), str(folder)),
                "source_run": source_run,
                "metrics": {key: float(value) for key, value in metrics.items()},
                "data": _data_set(data),
            }
        )

    def begin_trial(self, *, name: str, params: Mapping[str, Any]) -> TrialRun:
        """Returns a new run within this one, for one of many trainings that are to be compared by ``params``."""
        if self._path is None:
            return TrialRun()
        path = self._path.with_name(f"trial-{uuid.uuid4().hex[:12]}.jsonl")
        try:
            run = TrialRun(path, spool.create(path))
        except OSError as error:
            log.warning("no tracking of %s: %s", name, error)
            return TrialRun()
        run._say(_start("trial", name, params, (), within=self._path.stem))
        return run

    def _say(self, event: dict[str, Any]) -> None:
        if self._path is None:
            return
        try:
            spool.append(self._path, {"time": time.time(), **event})
        except OSError as error:
            log.warning("tracking lost %s: %s", event["event"], error)


class TrialRun(StageRun):
    """A run within a stage's run; it lasts until it is ended, or its process is gone."""

    def __init__(self, path: Path | None = None, held: FileLock | None = None):
        super().__init__(path)
        self._held = held

    def end(self, status: Literal["FINISHED", "FAILED"]) -> None:
        """Says how the trial ended; nothing is said of it afterwards."""
        self._say({"event": "end", "status": status})
        if self._held is not None:
            self._held.release()


@contextmanager
def stage_run(
    *, stage: str, name: str, params: Mapping[str, Any], inputs: Sequence[Path | str] = ()
) -> Iterator[StageRun]:
    """Opens the run of one stage within its pipeline's run, and ends it as the block ends.

    ``params`` may be nested; they are written once, flattened to dotted names. ``inputs`` are the data the
    stage reads, relative to the project's root; they are recorded with their DVC hashes. An exception in the
    block marks the run as failed and goes on. What the stage cost becomes metrics of the run and, where it ended
    well, a file in ``usage_folder``.
    """
    if os.environ.get("REID_TRACKING") == "off":
        yield StageRun()
        return
    run, held = _open(stage)
    run._say(_start(stage, name, params, inputs))
    status, watch = "FAILED", usage.Watch()
    try:
        yield run
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        cost = watch.stop()
        run.log_metrics({f"stage/{key}": value for key, value in cost.items()})
        if status == "FINISHED":
            processors = os.cpu_count() or 1
            usage.write(usage_folder(), usage.Usage(stage, name, **cost, processors=processors, commit=git_commit()))
        run._say({"event": "end", "status": status})
        if held is not None:
            held.release()


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Returns ``{dotted name: text}`` of a nested block of parameters.

    >>> flatten({"optimizer": {"rate": 0.1}, "seeds": [1, 2]})
    {'optimizer.rate': '0.1', 'seeds': '[1, 2]'}
    """
    flat: dict[str, str] = {}
    for key, value in tree.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": str(value)})
    return flat


def tracking_folder() -> Path:
    """Returns where spools lie: ``.runs/tracking`` in the project's root (DVC's, when DVC runs the stage)."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).absolute() / ".runs" / "tracking"


def usage_folder() -> Path:
    """Returns where the last usage of each stage lies."""
    return tracking_folder().with_name("usage")


def _open(stage: str) -> tuple[StageRun, FileLock | None]:
    """Returns a run with a new spool and a recorder that reads it, or a silent run if that fails."""
    folder = tracking_folder()
    address = tracking_uri(folder.parents[1])
    process = lineage.pipeline_process()
    try:
        pipeline = folder / f"{process['pid']}-{process['started']:.0f}"
        pipeline.mkdir(parents=True, exist_ok=True)
        spool.write_once(
            pipeline / "pipeline.json",
            {
                "process": process,
                "root": str(Path.cwd()),
                "experiment": os.environ.get("MLFLOW_EXPERIMENT_NAME") or _study(),
                "uri": masked(address),
            },
        )
        path = pipeline / f"{stage}-{uuid.uuid4().hex[:12]}.jsonl"
        held = spool.create(path)
        if not locking.is_held(folder / "recorder.lock"):
            start_recorder(folder)
    except OSError as error:
        log.warning("no tracking of this stage: %s", error)
        return StageRun(), None
    try:
        refuse_unusable(address)
    except (OSError, ValueError) as error:
        log.warning("nothing is recorded yet, it waits in %s: %s", pipeline, error)
    return StageRun(path), held


def _start(
    stage: str, name: str, params: Mapping[str, Any], inputs: Sequence[Path | str], within: str | None = None
) -> dict[str, Any]:
    """Returns the first event of a run; ``within`` is the key of the run that it lies in, None for the pipeline's."""
    return {
        "event": "start",
        "stage": stage,
        "name": name,
        "params": flatten(params),
        "inputs": [_data_set(path) for path in inputs],
        "within": within,
        "tags": {
            "stage": stage,
            "dvc.stage": "" if within else os.environ.get("DVC_STAGE", ""),
            "command": " ".join(sys.orig_argv[1:]),
            "git.commit": git_commit(),
            **({"experiment": name} if name and not within else {}),
            **_subject(params)["tags"],
        },
    }


def _subject(experiment: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Returns an experiment's block as parameters, and as tags what people group runs by."""
    tags = {key: str(experiment[key]) for key in GROUPED_BY if key in experiment}
    return {"params": flatten(experiment), "tags": tags}


def _experiment_of(checkpoint: Path) -> dict[str, Any]:
    """Returns the experiment's block that stands in a checkpoint, or nothing."""
    try:
        return json.loads((checkpoint / "meta.json").read_text())["experiment"]
    except (OSError, ValueError, KeyError):
        return {}


def start_recorder(folder: Path) -> subprocess.Popen[bytes]:
    """Starts the recorder of ``folder`` as a process that outlives this one; it ends by itself."""
    (folder / RECORDER_LOG).touch(spool.PRIVATE)
    (folder / RECORDER_LOG).chmod(spool.PRIVATE)
    with (folder / RECORDER_LOG).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.tracking.recorder", str(folder)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _study() -> str:
    """Returns the MLflow experiment: ``reid`` for the root dvc.yaml, ``reid/folder`` for another one."""
    file, _, _ = os.environ.get("DVC_STAGE", "").rpartition(":")
    return "/".join(["reid", *Path(file).parts[:-1]])


def _data_set(path: Path | str) -> dict[str, str]:
    return {"name": Path(path).as_posix(), "digest": lineage.dvc_hash(Path.cwd(), str(path))}
