from pathlib import Path
from typing import Any

import pytest

from pipeline.provenance import git_commit
from pipeline.tracking.runs import stage_run

TRAIN = """
import os, pickle, time
from pathlib import Path
os.environ["DVC_STAGE"] = "train@mdpr"
from pipeline.tracking.runs import stage_run
with stage_run(stage="train", name="mdpr", params={"a": {"rate": 0.1}, "seed": 1}, inputs=["data/people/x"]) as run:
    writer = pickle.loads(pickle.dumps(run.writer()))
    for epoch in (1, 2, 3):
        writer.log(epoch, {"loss": 1 / epoch})
    Path("run_id").write_text(run.id)
    time.sleep(1)
    Path("history").write_text(str(writer.history()))
"""
EVALUATE = """
import json
from pathlib import Path
from pipeline.tracking.runs import stage_run
Path("table.md").write_text("| mAP |")
block = {"method": "mdpr", "seed": 2, "data": "people", "training": {"epochs": 12}}
Path("artifacts/mdpr").mkdir(parents=True)
Path("artifacts/mdpr/meta.json").write_text(json.dumps({"experiment": block}))
with stage_run(stage="evaluate", name="mdpr", params={"distance": "cosine"}) as run:
    run.log_metrics({"mAP": 0.5})
    trained = Path("run_id").read_text()
    run.log_artifact("table.md")
    run.register_model("artifacts/mdpr", name="mdpr", source_run=trained, metrics={"mAP": 0.5}, data="data/people")
"""
RAISES = """
from pipeline.tracking.runs import stage_run
with stage_run(stage="tables", name="", params={}):
    raise RuntimeError("no such table")
"""
DIES = """
import os, signal
from pipeline.tracking.runs import stage_run
with stage_run(stage="cluster", name="", params={}) as run:
    run.log_metrics({"clusters": 7})
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def project(make_project: Any, send: Any) -> Path:
    root, repro = make_project()
    repro(TRAIN, EVALUATE, RAISES, DIES)
    assert send(root) == ""
    return root


@pytest.fixture(scope="module")
def client(project: Path) -> Any:
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")


@pytest.fixture(scope="module")
def runs(client: Any) -> dict[str, Any]:
    experiment = client.get_experiment_by_name("reid")
    found = client.search_runs([experiment.experiment_id])
    return {run.data.tags.get("stage", "pipeline"): run for run in found} | {"count": len(found)}


def test_a_pipeline_is_one_run_and_its_stages_are_its_children(runs: dict[str, Any]) -> None:
    parent = runs["pipeline"].info.run_id
    assert runs["count"] == 5
    assert {runs[stage].data.tags["mlflow.parentRunId"] for stage in ("train", "evaluate", "tables", "cluster")} == {
        parent
    }


def test_every_run_ends_as_its_stage_did(runs: dict[str, Any]) -> None:
    statuses = {name: run.info.status for name, run in runs.items() if name != "count"}
    assert statuses.pop("pipeline") in ("FAILED", "KILLED")
    assert statuses == {"train": "FINISHED", "evaluate": "FINISHED", "tables": "FAILED", "cluster": "KILLED"}


def test_what_a_killed_stage_said_is_kept(runs: dict[str, Any]) -> None:
    assert runs["cluster"].data.metrics["clusters"] == 7


def test_parameters_are_flat(runs: dict[str, Any]) -> None:
    assert runs["train"].data.params == {"a.rate": "0.1", "seed": "1"}


def test_a_scored_run_has_the_parameters_of_its_training_beside_its_own_and_its_scores(runs: dict[str, Any]) -> None:
    scored = runs["evaluate"].data
    trained = {"method": "mdpr", "seed": "2", "data": "people", "training.epochs": "12"}
    assert scored.params == {"distance": "cosine", **trained}
    assert scored.metrics["mAP"] == 0.5


def test_runs_can_be_grouped_by_experiment_method_seed_and_data(runs: dict[str, Any]) -> None:
    groups = ("experiment", "method", "seed", "data")
    assert [runs["evaluate"].data.tags[name] for name in groups] == ["mdpr", "mdpr", "2", "people"]
    assert [runs["train"].data.tags.get(name) for name in groups] == ["mdpr", None, "1", None]
    assert not {*groups} & {*runs["pipeline"].data.tags}


def test_metrics_keep_their_steps(runs: dict[str, Any], client: Any) -> None:
    history = client.get_metric_history(runs["train"].info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]


def test_a_stage_learns_the_id_of_its_run(runs: dict[str, Any], project: Path) -> None:
    assert (project / "run_id").read_text() == runs["train"].info.run_id


def test_metrics_can_be_read_back_as_a_table(project: Path) -> None:
    assert eval((project / "history").read_text())[1] == {"step": 2, "loss": 0.5}


def test_data_sets_carry_the_hash_of_the_dvc_output_they_lie_in(runs: dict[str, Any]) -> None:
    (data,) = runs["train"].inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("data/people/x", "1111111111111111111111111111111a.dir")


def test_a_checkpoint_is_a_model_with_scores_tied_to_it_and_to_the_data(runs: dict[str, Any], client: Any) -> None:
    (model,) = client.search_logged_models([runs["train"].info.experiment_id])
    assert model.source_run_id == runs["train"].info.run_id
    assert model.tags["dvc.hash"] == "2222222222222222222222222222222b.dir"
    (score,) = model.metrics
    assert (score.key, score.value, score.dataset_digest) == ("mAP", 0.5, "1111111111111111111111111111111a.dir")


def test_artifacts_are_copied(runs: dict[str, Any], client: Any) -> None:
    assert [file.path for file in client.list_artifacts(runs["evaluate"].info.run_id)] == ["table.md"]


def test_a_run_is_tagged_with_what_dvc_hashed_after_it(runs: dict[str, Any]) -> None:
    assert runs["train"].data.tags["dvc.out.artifacts/mdpr"] == "2222222222222222222222222222222b.dir"


def test_a_run_names_its_commit(runs: dict[str, Any]) -> None:
    assert runs["train"].data.tags["git.commit"] == git_commit()


def test_the_machine_is_watched(runs: dict[str, Any]) -> None:
    assert 0 < runs["train"].data.metrics["system/system_memory_usage_percentage"] <= 100


def test_nothing_waits_any_longer(project: Path) -> None:
    assert not list((project / ".runs" / "tracking").glob("*/pipeline.json"))


@pytest.fixture
def quiet_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REID_TRACKING", "off")
    return tmp_path


def test_off_writes_nothing(quiet_folder: Path) -> None:
    with stage_run(stage="train", name="mdpr", params={"seed": 1}, inputs=["data"]) as run:
        run.log_metrics({"loss": 1.0})
        run.writer().log(1, {"loss": 1.0})
        assert run.id is None
        assert run.writer().history() == []
    assert list(quiet_folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("REID_TRACKING")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "file"))
    (tmp_path / "file").write_text("not a folder")
    with stage_run(stage="train", name="mdpr", params={}) as run:
        run.log_metrics({"loss": 1.0})
    assert "no tracking of this stage" in caplog.text
