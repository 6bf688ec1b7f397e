import http.server
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

from pipeline.tracking import store
from pipeline.tracking.store import RefusedError, Store, UnreachableError


def test_two_processes_may_create_the_store_at_once(database: Path) -> None:
    experiments = mlflow.MlflowClient(f"sqlite:///{database}").search_experiments()
    assert [experiment.name for experiment in experiments if experiment.name != "Default"] == ["reid"]
    assert not list(database.parent.glob(".mlflow.db.new*"))


@pytest.fixture
def copied(database: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(database, tmp_path)}"


def break_experiments(file: Path) -> None:
    with sqlite3.connect(file) as opened:
        opened.execute("DELETE FROM experiments")


def break_tables(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as opened:
        opened.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")


@pytest.mark.parametrize("interrupted", [break_experiments, break_tables, lambda file: file.write_bytes(b"")])
def test_a_database_that_was_interrupted_while_it_was_made_is_made_anew_and_kept_aside(
    copied: str, tmp_path: Path, interrupted: Any
) -> None:
    interrupted(tmp_path / "mlflow.db")
    (tmp_path / ".mlflow.db.new").write_bytes(b"of one that was killed")
    assert Store(copied, "reid").run("pipeline", "a", name="a", start=1.0, tags={}, parent=None)
    assert len(list(tmp_path.glob("mlflow.db.broken-*"))) == 1
    assert not list(tmp_path.glob(".mlflow.db.new*"))


def test_a_database_with_runs_is_never_taken_for_one_that_was_interrupted(copied: str, tmp_path: Path) -> None:
    run = Store(copied, "reid").run("pipeline", "a", name="a", start=1.0, tags={}, parent=None)
    assert Store(copied, "reid").run("pipeline", "a", name="a", start=1.0, tags={}, parent=None) == run
    assert not list(tmp_path.glob("*.broken-*"))


def test_a_database_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.store.tracking import sqlalchemy_store

    def killed(self: Any, uri: str, *_: Any) -> None:
        Path(uri.removeprefix("sqlite:///")).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(sqlalchemy_store.SqlAlchemyStore, "__init__", killed)
    with pytest.raises(KeyboardInterrupt):
        Store(f"sqlite:///{tmp_path}/mlflow.db", "reid")
    assert not (tmp_path / "mlflow.db").exists()


def test_what_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"garbage" * 100)
    with pytest.raises(UnreachableError, match="file is not a database"):
        Store(f"sqlite:///{tmp_path}/mlflow.db", "reid")


def test_a_deleted_experiment_is_named_with_what_to_do(copied: str) -> None:
    experiment = Store(copied, "reid").experiment
    mlflow.MlflowClient(copied).delete_experiment(experiment)
    with pytest.raises(RefusedError, match=f"reid is deleted: restore it .*--experiment-id {experiment}"):
        Store(copied, "reid")


@pytest.mark.parametrize("name", ["it's", 'a "b"', 'it\'s "b"', "`x`", "rate0.5"])
def test_any_name_names_a_run_and_a_model_once(copied: str, name: str) -> None:
    sent = Store(copied, "reid")
    runs = {sent.run("pipeline", name, name=name, start=1.0, tags={}, parent=None) for _ in range(2)}
    assert len(runs) == 1
    data = {"name": "people", "digest": "abc"}
    model = {"event": "model", "name": name, "digest": "d1", "folder": "x", "source_run": None, "time": 1.0}
    for _ in range(2):
        sent.send(*runs, [model | {"data": data, "metrics": {"mAP": 0.5}}])
    found = mlflow.MlflowClient(copied).search_logged_models([sent.experiment], "tags.`dvc.hash` = 'd1'")
    assert [one.name for one in found] == [name.translate(str.maketrans("'\".", "___"))]


@pytest.fixture
def answering() -> Iterator[Any]:
    """Starts a server that answers every request with one status; returns its address."""
    servers = []

    def start(status: int) -> str:
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "set MLFLOW_TRACKING_USERNAME"), (403, "ask for the permission"), (404, "no tracking server is at this")],
)
def test_a_refusal_is_told_from_a_server_that_is_away(
    answering: Any, status: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RefusedError, match=advice):
        Store(answering(status), "reid")
    with pytest.raises(UnreachableError) as away:
        Store(answering(503), "reid")
    assert not isinstance(away.value, RefusedError)


def test_a_server_of_one_byte_a_second_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ANSWER_SECONDS", 1.0)

    def trickle() -> None:
        while True:
            answer, _ = listening.accept()
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b" " * 900:
                answer.send(bytes([byte]))
                time.sleep(0.2)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=trickle, daemon=True).start()
        with pytest.raises(UnreachableError, match="no whole answer within 1 s"):
            Store(f"http://127.0.0.1:{listening.getsockname()[1]}", "reid")
