"""A tracking server that is killed and started again while a stage records: nothing is lost, nothing waits for it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

# Logs an epoch twenty times a second until it is told that it is over, and says how many there were.
STAGE = """
import os, time
from pathlib import Path
from pipeline.tracking.runs import stage_run
longest = epoch = 0
with stage_run(stage="train", name="mdpr", params={"seed": 1}) as run:
    writer = run.writer()
    while not Path("over").exists():
        start = time.monotonic()
        writer.log(epoch, {"loss": 1.0 + epoch})
        longest = max(longest, time.monotonic() - start)
        epoch += 1
        Path("epochs.new").write_text(f"{epoch} {longest}")
        os.replace("epochs.new", "epochs")
        time.sleep(0.05)
"""
PATIENCE_SECONDS = 300


@contextmanager
def serving(database: Path, port: int) -> Any:
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(database.parent / "artifacts"),
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield server
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # with its workers
        server.wait()


def wait_until(what: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_server_that_was_gone_for_a_while_has_every_epoch_once(
    make_project: Any, send: Any, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    copy = Path(shutil.copy(database, tmp_path))
    client = mlflow.MlflowClient(f"sqlite:///{copy}")
    experiment = client.get_experiment_by_name("reid").experiment_id
    root, repro = make_project()
    port = free_port()

    def received() -> list[int]:
        found = client.search_runs([experiment], "tags.stage = 'train'")
        return [point.step for run in found for point in client.get_metric_history(run.info.run_id, "loss")]

    def logged() -> int:
        return int((root / "epochs").read_text().split()[0]) if (root / "epochs").exists() else 0

    variables = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
    stage = threading.Thread(target=repro, args=(STAGE,), kwargs=variables)
    with serving(copy, port):
        stage.start()
        wait_until(received)
    gone = logged()
    wait_until(lambda: logged() > gone + 40)
    missed = set(range(gone + 5, gone + 40))
    assert not missed & set(received())
    with serving(copy, port):
        wait_until(lambda: missed <= set(received()))
        (root / "over").touch()
        stage.join(PATIENCE_SECONDS)
        assert send(root) == ""
    epochs, longest = (root / "epochs").read_text().split()
    assert float(longest) < 1.0, "an epoch waited for the server"
    assert sorted(received()) == list(range(int(epochs)))
    (run,) = client.search_runs([experiment], "tags.stage = 'train'")
    assert run.info.status == "FINISHED"
    assert not list((root / ".runs" / "tracking").glob("*/pipeline.json"))
