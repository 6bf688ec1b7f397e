"""A real database, because whether tables equal MLflow is asked of nothing less."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.evaluation.metrics import NAMES
from pipeline.evaluation.stamp import Recipe, Result, market_protocol, write_result
from pipeline.tracking.lookup import recorded_runs
from stages.__main__ import main

PROTOCOL = market_protocol(data="people", fingerprint="abc", counts={}, is_generated=True)
RECIPE = Recipe("supervised", "pretrain", 64, 32, "256-d", "cosine", False, "not used", 8, "last")


@pytest.fixture
def client(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """The store of a project in which one experiment was scored, recorded and put into tables."""
    shutil.copy(database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REID_TRACKING", "off")
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    result = Result("mdpr", "mdpr", 1, 1, dict.fromkeys(NAMES, 0.1 + 0.2), PROTOCOL, RECIPE)
    write_result(Path("artifacts/evaluate/mdpr/metrics.json"), result)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("reid").experiment_id
    for status in ("FINISHED", "FAILED"):
        run = client.create_run(experiment, run_name="evaluate mdpr", tags={"stage": "evaluate"}).info.run_id
        for name in NAMES:
            client.log_metric(run, name, 0.1 + 0.2 if status == "FINISHED" else 0.0)
        client.set_terminated(run, status)
    main(["tables"])
    return client


def check() -> None:
    main(["tables", "--check-tracking"])


def test_tables_equal_mlflow_to_the_last_bit(client, capsys):
    check()
    assert "1 results, each with its run" in capsys.readouterr().out


def test_one_number_changed_in_mlflow_is_found(client):
    (run,) = client.search_runs(["1"], "attributes.status = 'FINISHED'")
    client.log_metric(run.info.run_id, "mAP", 0.3, timestamp=run.info.end_time + 1)
    with pytest.raises(SystemExit, match=r"mAP is 0.30000000000000004 in the table and 0.3 in run 'evaluate mdpr'"):
        check()


@pytest.mark.parametrize("table", ["results.md", "results.tex", "papers/mdpr.csv", "papers/mdpr.md"])
def test_one_number_changed_in_a_table_is_found(client, table):
    file = Path("artifacts/tables") / table
    changed = file.read_text().replace("30.0", "31.0")
    assert changed != file.read_text()
    file.write_text(changed)
    with pytest.raises(SystemExit, match=rf"{table} is not what results.csv gives"):
        check()


def test_only_runs_of_these_stages_that_ended_well_are_returned(client):
    (run,) = recorded_runs(["evaluate"])
    assert run.name == "evaluate mdpr"
    assert recorded_runs(["train"]) == []


def test_without_a_database_nothing_is_made_and_the_message_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="no runs are recorded at sqlite"):
        recorded_runs(["evaluate"])
    assert list(tmp_path.iterdir()) == []
