import json
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.tracking import views
from pipeline.tracking.views import link, links


@pytest.fixture
def copied(database: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(database, tmp_path))


def test_a_new_experiment_has_a_description_and_a_view_of_its_scores(copied: Path) -> None:
    tags = MlflowClient(f"sqlite:///{copied}").get_experiment_by_name("reid").tags
    assert "docs/tracking.md" in tags["mlflow.note.content"]
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    view = json.loads(tags["mlflow.sharedViewState.scores"])
    assert view["searchFilter"] == "tags.stage = 'evaluate'"
    assert {"tags.`experiment`", "tags.`seed`", "metrics.`mAP`"} <= set(view["selectedColumns"])


def test_the_filter_of_the_view_finds_scored_runs_best_first(copied: Path) -> None:
    client = MlflowClient(f"sqlite:///{copied}")
    experiment = client.get_experiment_by_name("reid").experiment_id
    for stage, score in (("evaluate", 0.1), ("evaluate", 0.3), ("train", 0.5)):
        run = client.create_run(experiment, tags={"stage": stage}).info.run_id
        client.log_metric(run, "mAP", score)
    found = client.search_runs([experiment], views.FILTER, order_by=[f"{views.ORDER} DESC"])
    assert [run.data.metrics["mAP"] for run in found] == [0.3, 0.1]


def test_experiments_of_older_versions_get_the_view_and_keep_what_people_wrote(copied: Path) -> None:
    client = MlflowClient(f"sqlite:///{copied}")
    older = client.create_experiment("older", tags={"mlflow.note.content": "mine"})
    found = links(copied, "http://127.0.0.1:5001")
    assert found["older"] == link("http://127.0.0.1:5001", older)
    assert found["older"].startswith(f"http://127.0.0.1:5001/#/experiments/{older}/runs?")
    assert list(found) == ["older", "reid"]
    tags = client.get_experiment(older).tags
    assert tags["mlflow.note.content"] == "mine"
    assert "mlflow.sharedViewState.scores" in tags


def test_what_is_sent_to_the_makers_of_mlflow_is_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mlflow.telemetry import utils

    assert "export MLFLOW_DISABLE_TELEMETRY := true" in (Path(__file__).parents[2] / "Makefile").read_text()
    monkeypatch.setattr(utils, "_IS_IN_CI_ENV_OR_TESTING", False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    assert utils.is_telemetry_disabled()
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    assert not utils.is_telemetry_disabled()


def test_a_project_that_has_recorded_nothing_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["views", "5000"])
    views.main()
    assert capsys.readouterr().out == "nothing is recorded yet: make repro\n"
