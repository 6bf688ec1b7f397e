import json
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import locking
from pipeline.tracking import recorder, spool
from pipeline.tracking.store import UnreachableError

STAGE = """
import json, time
from pathlib import Path
from pipeline.tracking.runs import stage_run
start = time.monotonic()
with stage_run(stage="train", name="mdpr", params={"seed": 1}) as run:
    writer = run.writer()
    for epoch in range(200):
        writer.log(epoch, {"loss": 1.0})
    said = time.monotonic()
    run_id = run.id
Path("answer").write_text(json.dumps({"id": run_id, "said": said - start, "all": time.monotonic() - start}))
"""


class FakeStore:
    """Keeps what it is told in a class variable; does not answer as often as ``failures`` says."""

    failures = 0
    told: list[dict[str, Any]] = []  # noqa: RUF012

    def __init__(self, uri: str, experiment: str):
        if FakeStore.failures > 0:
            FakeStore.failures -= 1
            raise UnreachableError("nobody there")

    def run(self, tag: str, value: str, **_: Any) -> str:
        return f"{tag}-{value}"

    def send(self, run: str, events: list[dict[str, Any]]) -> None:
        FakeStore.told += events

    def tag(self, run: str, tags: dict[str, str]) -> None:
        pass

    def end(self, run: str, status: str, time: float) -> None:
        FakeStore.told.append({"event": "end of pipeline", "status": status})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spool of a stage that is over, of a pipeline that is over."""
    monkeypatch.setattr(recorder, "Store", FakeStore)
    monkeypatch.setattr(recorder, "RETRY_SECONDS", 0.0)
    FakeStore.failures, FakeStore.told = 0, []
    pipeline = tmp_path / "1-1"
    pipeline.mkdir()
    process = {"host": "elsewhere", "pid": 1, "started": 1.0, "name": "one", "key": "one"}
    header = {"process": process, "root": str(tmp_path), "experiment": "reid", "uri": "http://fake"}
    spool.write_once(pipeline / "pipeline.json", header)
    path = pipeline / "train-1.jsonl"
    path.touch()
    start = {"event": "start", "stage": "train", "name": "", "tags": {"dvc.stage": ""}, "time": 1.0}
    for event in (start, {"event": "metrics", "time": 2.0}, {"event": "end", "status": "FINISHED", "time": 3.0}):
        spool.append(path, event)
    return tmp_path


def test_what_is_sent_is_removed(folder: Path) -> None:
    assert recorder.run(folder) == {}
    assert [event["event"] for event in FakeStore.told] == ["start", "metrics", "end", "end of pipeline"]
    assert not (folder / "1-1").exists()


def test_what_a_dead_store_missed_stays_and_is_sent_the_next_time(folder: Path) -> None:
    FakeStore.failures = 1
    assert recorder.run(folder) == {folder / "1-1": "http://fake does not answer now: nobody there"}
    assert FakeStore.told == []
    assert recorder.run(folder) == {}
    assert [event["event"] for event in FakeStore.told][-1] == "end of pipeline"


def add_pipeline(folder: Path, name: str, header: str) -> Path:
    """Adds another pipeline with the spool of the first."""
    place = shutil.copytree(folder / "1-1", folder / name)
    (place / "pipeline.json").write_text(header)
    return place


@pytest.mark.parametrize("header", ["", '{"process": {"ho', "5", "{}", '{"process": {}, "uri": 5}'])
def test_a_pipeline_file_that_was_cut_short_stops_no_other_and_is_named(folder: Path, header: str) -> None:
    for name in ("0-0", "2-2"):
        add_pipeline(folder, name, header)
    unsent = recorder.run(folder)
    assert set(unsent) == {folder / "0-0", folder / "2-2"}
    assert all("pipeline.json can't be read" in why and "remove the folder" in why for why in unsent.values())
    assert FakeStore.told[-1]["event"] == "end of pipeline"


def test_lines_that_are_none_of_ours_stop_no_other_pipeline(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = add_pipeline(folder, "0-0", (folder / "1-1" / "pipeline.json").read_text())
    (place / "train-1.jsonl").write_text("5\n")
    (why,) = recorder.run(folder).values()
    assert "lines can't be understood (TypeError" in why
    assert not (folder / "1-1").exists()
    assert len(caplog.records) == 1, "it is said once"


@pytest.mark.parametrize("address", ["foo://bar", "localhost:5000", "file:///tmp/mlruns", "postgresql://host/name"])
def test_what_was_said_under_an_unusable_address_goes_to_the_one_of_now(
    folder: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = json.loads((folder / "1-1" / "pipeline.json").read_text())
    (folder / "1-1" / "pipeline.json").write_text(json.dumps(header | {"uri": address}))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    (why,) = recorder.run(folder).values()
    assert why.startswith(f"{address} refuses: MLFLOW_TRACKING_URI is {address!r}: ")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://usable")
    assert recorder.run(folder) == {}
    assert FakeStore.told[-1]["event"] == "end of pipeline"


def test_by_hand_it_ends_well_whatever_happens(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(folder: Path) -> None:
        raise RuntimeError("no module named http://ann:s3cret@host")

    monkeypatch.setattr(recorder, "tracking_folder", lambda: folder)
    monkeypatch.setattr(recorder, "record", fail)
    monkeypatch.setattr("sys.argv", ["recorder"])
    recorder.main()
    said = capsys.readouterr().out
    assert said.startswith(f"not sent yet, the runs in {folder} wait: ")
    assert "RuntimeError: no module named http://ann:***@host" in said


def test_a_password_is_written_nowhere(make_project: Any, send: Any) -> None:
    root, repro = make_project()
    address = "http://ann:s3cret@127.0.0.1:9"
    said = repro(STAGE, MLFLOW_TRACKING_URI=address)
    by_hand = send(root, MLFLOW_TRACKING_URI=address)
    assert "http://ann:***@127.0.0.1:9 does not answer now" in by_hand
    assert "s3cret" not in said.stdout + said.stderr + by_hand
    written = [file for file in (root / ".runs").rglob("*") if file.is_file()]
    assert {"recorder.log", "pipeline.json"} <= {file.name for file in written}
    for file in written:
        assert b"s3cret" not in file.read_bytes(), file
        if file.name in ("recorder.log", "pipeline.json"):
            assert file.stat().st_mode & 0o077 == 0, "nobody else reads it"
    assert "set MLFLOW_TRACKING_URI to http://ann:***@127.0.0.1:9 with its password" in send(root)


def test_an_unusable_address_is_told_when_a_stage_starts_and_stops_nothing(
    make_project: Any, send: Any, database: Path
) -> None:
    root, repro = make_project()
    shutil.copy(database, root)
    stage = repro(STAGE, MLFLOW_TRACKING_URI="localhost:5000")
    assert "nothing is recorded yet, it waits in" in stage.stderr
    assert "MLFLOW_TRACKING_URI is 'localhost:5000': expected http://HOST:PORT" in stage.stderr
    assert json.loads((root / "answer").read_text())["id"] is None
    assert send(root) == "", "sent to mlflow.db, the address of now"
    assert not list((root / ".runs" / "tracking").glob("*/pipeline.json"))


def test_a_store_that_comes_back_while_the_pipeline_runs_gets_everything(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([True, True, True, False])
    monkeypatch.setattr(recorder.lineage, "is_running", lambda process: next(looks, False))
    FakeStore.failures = 2
    assert recorder.run(folder) == {}
    assert [event["event"] for event in FakeStore.told] == ["start", "metrics", "end", "end of pipeline"]


def test_a_second_recorder_leaves_the_work_to_the_first(folder: Path) -> None:
    held = locking.hold(folder / "recorder.lock")
    assert held is not None
    recorder.run(folder)
    assert FakeStore.told == []
    held.release()


@pytest.fixture(params=["refuses", "never answers"])
def dead_server(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "refuses":
        yield "http://127.0.0.1:9"
        return
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


def test_a_dead_server_neither_stops_nor_slows_and_gets_its_metrics_later(
    dead_server: str, make_project: Any, send: Any, database: Path
) -> None:
    import mlflow

    root, repro = make_project()
    start = time.monotonic()
    repro(STAGE, MLFLOW_TRACKING_URI=dead_server, MLFLOW_HTTP_REQUEST_TIMEOUT="2")
    answer = json.loads((root / "answer").read_text())
    assert answer["id"] is None
    assert answer["said"] < 2.0
    assert time.monotonic() - start < 30.0
    assert "does not answer" in send(root)

    (header,) = (root / ".runs" / "tracking").glob("*/pipeline.json")
    uri = f"sqlite:///{shutil.copy(database, root)}"
    header.write_text(header.read_text().replace(dead_server, uri))
    assert send(root) == ""
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("reid")
    (run,) = client.search_runs([experiment.experiment_id], "tags.stage = 'train'")
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 200
    assert run.info.status == "FINISHED"
    assert not header.exists()
