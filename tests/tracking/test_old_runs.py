import shutil
import subprocess
import time
from types import SimpleNamespace

import pytest

from pipeline.tracking import old_runs
from pipeline.tracking.old_runs import Execution, remove, superseded


@pytest.fixture
def made(database, tmp_path):
    """A database with two executions of a stage: a function that makes runs, and its path."""
    import mlflow

    path = tmp_path / "mlflow.db"
    shutil.copy(database, path)
    client = mlflow.MlflowClient(f"sqlite:///{path}")
    experiment = client.create_experiment("study", artifact_location=str(tmp_path / "mlartifacts"))
    clock = iter(range(1000, 100_000, 1000))

    def make(name, stage=None, parent=None, status="FINISHED", **tags):
        tags |= {"stage": stage} if stage else {"pipeline": name}
        tags |= {"mlflow.parentRunId": parent} if parent else {}
        run = client.create_run(experiment, next(clock), tags, name).info.run_id
        (tmp_path / "note.txt").write_text(name)
        client.log_artifact(run, tmp_path / "note.txt")
        if status != "RUNNING":
            client.set_terminated(run, status, int(time.time() * 1000))
        return run

    return path, make


def execution(make, name, status="FINISHED", **tags):
    pipeline = make(name, status=status)
    return pipeline, make("train mdpr", "train", pipeline, status, **tags)


def test_an_execution_is_superseded_once_all_its_stages_ran_again(made):
    path, make = made
    first = execution(make, "first")
    trial = make("trial mdpr 1", "trial", first[1])
    execution(make, "second")
    (old,) = superseded(path, [], [])
    assert (old.name, set(old.runs)) == ("first", {*first, trial})
    assert all((place / "artifacts" / "note.txt").is_file() for place in old.artifacts)


def test_what_is_in_use_or_running_or_the_last_that_ended_well_stays(made):
    path, make = made
    hashed, named = execution(make, "hashed", **{"dvc.out.artifacts/train/mdpr": "a1"}), execution(make, "named")
    running, well, failed = (
        execution(make, "running", "RUNNING"),
        execution(make, "well"),
        execution(make, "failed", "FAILED"),
    )
    stay = {old.name for old in superseded(path, [named[1]], ["a1"])}
    assert stay == set()
    assert {old.name for old in superseded(path, [], [])} == {"hashed", "named"}
    assert all((hashed, running, well, failed))


def test_removed_executions_are_gone_with_their_artifacts_and_others_are_not(made):
    import mlflow

    path, make = made
    first, second = execution(make, "first"), execution(make, "second")
    (old,) = superseded(path, [], [])
    remove(path, [old])
    client = mlflow.MlflowClient(f"sqlite:///{path}")
    experiment = client.get_experiment_by_name("study").experiment_id
    left = client.search_runs([experiment], run_view_type=mlflow.entities.ViewType.ALL)
    assert {run.info.run_id for run in left} == {*second}
    assert not any(list(place.rglob("*.txt")) for place in old.artifacts)
    assert [file.path for file in client.list_artifacts(second[1])] == ["note.txt"]
    assert first


def test_more_runs_than_one_argument_holds_are_removed_part_by_part(tmp_path, monkeypatch):
    deleted, collected = [], []

    def collect(command, **options):
        assert max(map(len, command)) < 128 * 1024, "Linux takes no longer argument"
        collected.extend(command[-1].split(","))
        assert collected == deleted, "only what is marked as deleted is collected, and all of it"

    monkeypatch.setattr(old_runs, "open_client", lambda uri: SimpleNamespace(delete_run=deleted.append))
    monkeypatch.setattr(subprocess, "run", collect)
    runs = [f"{number:032x}" for number in range(5001)]
    remove(tmp_path / "mlflow.db", [Execution("one", runs[:3000], []), Execution("other", runs[3000:], [])])
    assert collected == runs
