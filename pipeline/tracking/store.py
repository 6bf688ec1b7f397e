"""MLflow's side of a spool. Everything here may be said twice without harm."""

from __future__ import annotations

import logging
import queue
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline import locking
from pipeline.tracking.address import SQLITE, masked
from pipeline.tracking.views import experiment_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)

MIGRATION_PATIENCE_SECONDS = 60.0

BATCH = 1000
"""Metrics in one request, MLflow's limit. Parameters: 100."""

HOPELESS = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"}
"""Answers that will be the same next time: such an event is given up, all others wait for a better hour."""
NOT_ALLOWED = {
    "UNAUTHENTICATED": "it does not know who asks: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    "CUSTOMER_UNAUTHORIZED": "it does not know who asks: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    "PERMISSION_DENIED": "this user may not write there: ask for the permission, or name another user",
    "ENDPOINT_NOT_FOUND": "no tracking server is at this address: name another",
}
"""Answers that a person has to do something about, and what."""
ANSWER_SECONDS = 60.0
"""How long an answer may take in all. The limit of MLflow's own is one between two bytes."""


class UnreachableError(Exception):
    """The store does not answer now; it may later."""


class RefusedError(UnreachableError):
    """The store answers that it will not, and says so until somebody does what the message says."""


class Store:
    """One experiment of one tracking store. Its methods raise ``UnreachableError`` when it does not answer.

    ``uri`` as in MLFLOW_TRACKING_URI. A new sqlite database is made on the way (5-9 s), its artifacts beside
    it.
    """

    def __init__(self, uri: str, experiment: str):
        self.uri = uri
        with _sole_user(uri):
            self.client: MlflowClient = self._ask(_open, uri)
            self.experiment: str = self._ask(self._experiment, uri, experiment)

    def run(self, tag: str, value: str, *, name: str, start: float, tags: dict[str, str], parent: str | None) -> str:
        """Returns the id of the run whose ``tag`` is ``value``, made if there is none, and running."""
        return self._ask(self._run, tag, value, name, int(start * 1000), tags, parent)

    def send(self, run: str, events: Sequence[dict[str, Any]]) -> None:
        """Writes what a stage said to ``run``, the metrics in batches."""
        said = [event for event in events if event["event"] == "metrics"]
        metrics = [metric for event in said for metric in _metrics(event["values"], event["time"], event["step"])]
        for first in range(0, len(metrics), BATCH):
            batch = metrics[first : first + BATCH]
            self._ask_or_give_up("metrics", self.client.log_batch, run, metrics=batch, synchronous=True)
        for event in events:
            if event["event"] != "metrics":
                self._ask_or_give_up(event, getattr(self, f"_{event['event']}"), run, event)

    def tag(self, run: str, tags: dict[str, str]) -> None:
        """Adds ``tags`` to ``run``."""
        from mlflow.entities import RunTag

        self._ask_or_give_up(
            "tags",
            self.client.log_batch,
            run,
            tags=[RunTag(*pair) for pair in tags.items()],
            synchronous=True,
        )

    def end(self, run: str, status: str, time: float) -> None:
        """Closes ``run``: ``FINISHED``, ``FAILED`` or ``KILLED``."""
        self._ask_or_give_up("end", self._end, run, {"status": status, "time": time})

    def _ask(self, question: Callable[..., Answer], *arguments: Any, **named: Any) -> Answer:
        """Returns the answer; the error bears what went wrong, without passwords."""
        try:
            if self.uri.startswith("http"):
                return _within(ANSWER_SECONDS, lambda: question(*arguments, **named))
            return question(*arguments, **named)
        except UnreachableError:
            raise
        except Exception as error:
            code, said = getattr(error, "error_code", ""), masked(f"{type(error).__name__}: {error}")
            if code in NOT_ALLOWED or code in HOPELESS:
                raise RefusedError(" ".join(filter(None, [NOT_ALLOWED.get(code), f"({said})"]))) from error
            raise UnreachableError(said) from error

    def _ask_or_give_up(self, what: Any, question: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        try:
            self._ask(question, *arguments, **named)
        except RefusedError as error:
            if getattr(error.__cause__, "error_code", "") not in HOPELESS:
                raise
            log.warning("given up: %s: %s", what, error)

    def _experiment(self, uri: str, name: str) -> str:
        from mlflow.exceptions import MlflowException

        if found := self.client.get_experiment_by_name(name):
            if found.lifecycle_stage != "active":
                raise RefusedError(
                    f"its experiment {name} is deleted: restore it (mlflow experiments restore --experiment-id "
                    f"{found.experiment_id}), or delete it for good (mlflow gc)"
                )
            return found.experiment_id
        place = str(Path(uri.removeprefix(SQLITE)).parent / "mlartifacts") if uri.startswith(SQLITE) else None
        try:
            return self.client.create_experiment(name, artifact_location=place, tags=experiment_tags())
        except MlflowException:
            if found := self.client.get_experiment_by_name(name):
                return found.experiment_id
            raise

    def _run(self, tag: str, value: str, name: str, start: int, tags: dict[str, str], parent: str | None) -> str:
        value = value.replace("'", "_")  # which a filter can't hold beside the other kind of quotes
        found: list[Run] = self.client.search_runs([self.experiment], f"tags.`{tag}` = '{value}'", max_results=1)
        if found:
            if found[0].info.status != "RUNNING":
                self.client.update_run(found[0].info.run_id, status="RUNNING")
            return found[0].info.run_id
        tags = {**tags, tag: value, "mlflow.source.type": "LOCAL"}
        if parent:
            tags |= {"mlflow.parentRunId": parent, "mlflow.source.name": tags["command"]}
            tags |= {"mlflow.source.git.commit": tags["git.commit"]}
        return self.client.create_run(self.experiment, start, tags, name).info.run_id

    def _start(self, run: str, event: dict[str, Any]) -> None:
        self._params(run, event["params"])
        self._inputs(run, event["inputs"], event["stage"])

    def _subject(self, run: str, event: dict[str, Any]) -> None:
        self._params(run, event["params"])
        self.tag(run, event["tags"])

    def _params(self, run: str, values: dict[str, str]) -> None:
        from mlflow.entities import Param

        params = [Param(key, value[:6000]) for key, value in values.items()]
        for first in range(0, len(params), 100):
            self.client.log_batch(run, params=params[first : first + 100], synchronous=True)

    def _inputs(self, run: str, data_sets: list[dict[str, str]], context: str) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                dataset=Dataset(data["name"], data["digest"], "dvc", data["name"]),
                tags=[InputTag("mlflow.data.context", context)],
            )
            for data in data_sets
        ]
        if inputs:
            self.client.log_inputs(run, inputs)

    def _artifact(self, run: str, event: dict[str, Any]) -> None:
        file = Path(event["path"])
        if not file.is_file() or file.stat().st_mtime_ns != event["changed"]:
            log.warning("given up: %s is no longer the file that was logged", file)
            return
        self.client.log_artifact(run, str(file))

    def _model(self, run: str, event: dict[str, Any]) -> None:
        import mlflow

        name = re.sub(r"""[/:.%"']""", "_", event["name"])  # of these MLflow takes none
        digest = f"unknown {event['time']}" if event["digest"] == "unknown" else event["digest"]
        found = self.client.search_logged_models([self.experiment], f"tags.`dvc.hash` = '{digest}'")
        mlflow.set_tracking_uri(self.uri)
        model = next((one for one in found if one.name == name), None)
        model = model or mlflow.create_external_model(
            name=name,
            source_run_id=event["source_run"] or run,
            tags={"checkpoint": event["folder"], "dvc.hash": digest},
            experiment_id=self.experiment,
        )
        self._inputs(run, [event["data"]], "evaluation")
        metrics = _metrics(event["metrics"], event["time"], 0, model=model.model_id, data=event["data"])
        self.client.log_batch(run, metrics=metrics, synchronous=True)

    def _end(self, run: str, event: dict[str, Any]) -> None:
        self.client.set_terminated(run, event["status"], int(event["time"] * 1000))


def _open(uri: str) -> MlflowClient:
    """Returns a client; a database that is not there is made beside its place, and is there whole or not at all."""
    import mlflow

    file = Path(uri.removeprefix(SQLITE))
    if uri.startswith(SQLITE):
        if _is_half_made(file):
            aside = file.with_name(f"{file.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
            log.warning("%s was interrupted while it was made: moved to %s, and made anew", file, aside)
            file.rename(aside)
        if not file.exists():
            from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

            draft = file.with_name(f".{file.name}.new")
            for rest in file.parent.glob(f"{draft.name}*"):
                rest.unlink()
            SqlAlchemyStore(f"{SQLITE}{draft}", str(file.parent / "mlartifacts"))._dispose_engine()
            draft.rename(file)
    return mlflow.MlflowClient(uri)


def _is_half_made(file: Path) -> bool:
    """Returns whether a database is there without MLflow's first experiment, which is the last that it makes in one."""
    if not file.is_file() or file.stat().st_size == 0:
        return file.is_file()
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as opened:
        try:
            return opened.execute("SELECT 1 FROM experiments LIMIT 1").fetchone() is None
        except sqlite3.OperationalError as error:
            return "no such table" in str(error)


def _within(seconds: float, question: Callable[[], Answer]) -> Answer:
    """Returns the answer to a question, or stops waiting for it.

    Raises:
        UnreachableError: when it takes longer.
    """
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put((question(), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=ask, name="question", daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise UnreachableError(f"no whole answer within {seconds:.0f} s") from None
    if error is not None:
        raise error
    return answer


@contextmanager
def _sole_user(uri: str) -> Iterator[None]:
    """Keeps other processes from opening the database meanwhile: two that migrate a new one break it.

    Raises:
        UnreachableError: when its folder takes no lock, or another process has it for too long.
    """
    if not uri.startswith(SQLITE):
        yield
        return
    try:
        held = locking.hold(Path(uri.removeprefix(SQLITE) + ".lock"), patience_seconds=MIGRATION_PATIENCE_SECONDS)
    except OSError as error:
        raise UnreachableError(str(error)) from error
    if held is None:
        raise UnreachableError("another process is making the database")
    try:
        yield
    finally:
        held.release()


def _metrics(
    values: dict[str, float],
    time: float,
    step: int,
    *,
    model: str | None = None,
    data: dict[str, str] | None = None,
) -> list[Any]:
    from mlflow.entities import Metric

    data = data or {"name": None, "digest": None}  # type: ignore[dict-item]
    return [
        Metric(
            name,
            value,
            int(time * 1000),
            step,
            model_id=model,
            dataset_name=data["name"],
            dataset_digest=data["digest"],
        )
        for name, value in values.items()
    ]
