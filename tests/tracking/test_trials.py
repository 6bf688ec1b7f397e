import shutil
from pathlib import Path
from typing import Any

import pytest

SEARCH = """
from pipeline.tracking.runs import stage_run
with stage_run(stage="tune", name="mdpr", params={"trials": 3}) as run:
    for number, (rate, status) in enumerate([(0.1, "FINISHED"), (0.2, "FAILED"), (0.3, None)], start=1):
        trial = run.begin_trial(name=f"mdpr {number}", params={"training.learning_rate": rate})
        for epoch in (1, 2):
            trial.writer().log(epoch, {"val_mAP": rate * epoch})
        if status:
            trial.end(status)
"""


@pytest.fixture(scope="module")
def runs(make_project: Any, send: Any, database: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The recorded runs of a search of three trials, by name; the last one's process was gone before it ended."""
    import mlflow

    uri = f"sqlite:///{shutil.copy(database, tmp_path_factory.mktemp('mlflow'))}"
    root, repro = make_project()
    repro(SEARCH, MLFLOW_TRACKING_URI=uri)
    assert send(root) == ""
    client = mlflow.MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name("reid").experiment_id])
    return {run.info.run_name if "stage" in run.data.tags else "pipeline": run for run in found}


def test_trials_are_children_of_the_search_and_grandchildren_of_the_pipeline(runs: dict[str, Any]) -> None:
    parents = {name: run.data.tags.get("mlflow.parentRunId") for name, run in runs.items()}
    search, pipeline = (runs[name].info.run_id for name in ("tune mdpr", "pipeline"))
    assert parents == {
        "pipeline": None,
        "tune mdpr": pipeline,
        "trial mdpr 1": search,
        "trial mdpr 2": search,
        "trial mdpr 3": search,
    }


def test_trials_are_compared_by_what_varies_and_by_metrics_of_one_name(runs: dict[str, Any]) -> None:
    trials = [runs[f"trial mdpr {number}"].data for number in (1, 2, 3)]
    assert [trial.params for trial in trials] == [{"training.learning_rate": rate} for rate in ("0.1", "0.2", "0.3")]
    assert [trial.metrics for trial in trials] == [{"val_mAP": score} for score in (0.2, 0.4, 0.6)]


def test_a_trial_that_failed_does_not_fail_the_search_nor_the_pipeline(runs: dict[str, Any]) -> None:
    assert {name: run.info.status for name, run in runs.items()} == {
        "pipeline": "FINISHED",
        "tune mdpr": "FINISHED",
        "trial mdpr 1": "FINISHED",
        "trial mdpr 2": "FAILED",
        "trial mdpr 3": "KILLED",
    }
