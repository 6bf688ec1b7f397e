import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from pipeline import locking
from pipeline.config import parse
from pipeline.evaluation.stamp import read_result
from pipeline.experiments import resolve_search
from pipeline.methods.registry import find
from pipeline.training.checkpoint import open_checkpoint
from pipeline.tuning.outcome import Outcome, Trial
from pipeline.tuning.plan import search_folder
from pipeline.tuning.space import TuneParams
from tests.noise import BASELINE, changed
from tests.tuning.small import SEARCH

RATE = "training.learning_rate"
SMALL = {"of": {"experiment": "pretrain", "paper": "baseline", "data": "noise"}}


def declare(project, **searches):
    """Declares searches, by default one: ``pretrain`` of the experiment pretrain."""
    project.write(studies={**project.params["studies"], "searches": searches or {"pretrain": SMALL}})


@pytest.fixture
def search(monkeypatch):
    """Stands in for Ray Tune: the second of two trials is the better one."""

    def run(plan, resources, tracked):
        return Outcome(plan, [Trial(1, dict(plan.start), [0.2] * 4, ""), Trial(2, {RATE: 2e-2}, [0.3] * 4, "")])

    module = ModuleType("pipeline.jobs.tune")
    module.search = run
    monkeypatch.setitem(sys.modules, "pipeline.jobs.tune", module)


def test_a_search_leaves_what_it_found_and_nothing_else(fresh, search, capsys):
    declare(fresh)
    fresh.run("tune", "pretrain")
    out = fresh.folder / "artifacts" / "tune" / "pretrain"
    assert yaml.safe_load((out / "best.yaml").read_text()) == {"training": {"learning_rate": 2e-2}}
    assert sorted(file.name for file in out.iterdir()) == ["best.yaml", "search.json", "trials.csv"]
    assert not [path for path in (fresh.folder / ".runs" / "tune").iterdir() if path.is_dir()]
    assert "best: trial 2, val_mAP 0.3000 after 4 epochs; start: 0.2000; gain +0.1000" in capsys.readouterr().out


def test_a_finished_search_that_was_removed_again_is_put_back(fresh, search, capsys, monkeypatch):
    declare(fresh)
    fresh.run("tune", "pretrain")
    out = fresh.folder / "artifacts" / "tune" / "pretrain"
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    monkeypatch.delattr(sys.modules["pipeline.jobs.tune"], "search")
    for _ in range(2):
        shutil.rmtree(out)
        fresh.run("tune", "pretrain")
        assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    declare(fresh, pretrain={**SMALL, "trials": 9})
    with pytest.raises(ImportError):
        fresh.run("tune", "pretrain")


def test_a_search_that_another_process_is_at_is_refused_before_anything_is_made(fresh, search, refused, monkeypatch):
    declare(fresh)
    monkeypatch.setattr(locking, "PATIENCE_SECONDS", 0.0)
    monkeypatch.chdir(fresh.folder)
    params = parse(TuneParams, {**SEARCH, "experiment": "pretrain", "data": "noise"}, "search")
    folder = search_folder("pretrain", params, BASELINE, find("baseline"), Path("data/prepared/noise"), Path(".runs"))
    with locking.exclusive_lock(folder, "searched"):
        message = refused(fresh, "tune", "pretrain")
    assert "is being searched by another process: wait for it, or stop it" in message
    assert not folder.exists()


def test_an_unknown_search_is_answered_with_the_nearest(fresh, refused):
    declare(fresh)
    message = refused(fresh, "tune", "pretrian")
    assert message == "error: params.yaml has no studies.searches.pretrian; did you mean pretrain?"


def test_a_search_is_what_all_have_in_common_with_what_it_says_itself(fresh, refused):
    decay = {"weight_decay": {"kind": "uniform", "low": 0.0, "high": 0.1}}
    longer = {"like": "pretrain", "space": {"training": decay}, "trials": 9}
    declare(fresh, pretrain=SMALL, longer=longer)
    rate = SEARCH["space"]["training"]
    whole = {**SEARCH, "experiment": "pretrain", "data": "noise", "trials": 9}
    assert resolve_search(fresh.params, "longer") == {**whole, "space": {"training": {**rate, **decay}}}
    declare(fresh, pretrain={**SMALL, "tried_on": "market"})
    assert resolve_search(fresh.params, "pretrain")["data"] == "market"
    declare(fresh, pretrain={**SMALL, "trails": 9})
    assert "studies.searches.pretrain.trails: unknown key" in refused(fresh, "tune", "pretrain")


def found(project, patch):
    """Writes what a search leaves."""
    out = project.folder / "artifacts" / "tune" / "pretrain"
    out.mkdir(parents=True, exist_ok=True)
    (out / "best.yaml").write_text(yaml.safe_dump(patch))
    summary = {"experiment": "pretrain", "criterion": "val_mAP", "epochs": 4, "trials": 2}
    (out / "search.json").write_text(json.dumps({**summary, "start": 0.2, "best": 0.2, "gain": 0.0}))


def test_what_a_search_found_is_trained_in_full_under_its_own_name(fresh):
    declare(fresh)
    found(fresh, {"training": {"learning_rate": 2e-2}})
    fresh.run("train_tuned", "pretrain")
    trained = open_checkpoint(fresh.folder / "artifacts" / "tuned" / "pretrain")
    assert trained.meta["name"] == "pretrain_tuned"
    assert trained.meta["experiment"] == changed(BASELINE, training__learning_rate=2e-2)
    assert trained.meta["epoch"] == BASELINE["training"]["epochs"]
    assert not (fresh.folder / "artifacts" / "train").exists()


def test_a_best_that_fits_no_experiment_is_named(fresh, refused):
    declare(fresh)
    found(fresh, {"training": {"rate": 1.0}})
    message = refused(fresh, "train_tuned", "pretrain")
    assert "artifacts/tune/pretrain/best.yaml.training.rate overrides nothing" in message


def test_a_search_that_found_the_start_gained_nothing_on_the_test_set(trained, capsys):
    declare(trained)
    found(trained, {})
    trained.run("train_tuned", "pretrain")
    trained.run("compare_tuned", "pretrain")
    out = trained.folder / "artifacts" / "compare_tuned" / "pretrain"
    gains = json.loads((out / "gain.json").read_text())
    assert gains == {"test/rank1": 0.0, "test/mAP": 0.0, "test/mINP": 0.0, "val_mAP": 0.0}
    assert "+0.0" in capsys.readouterr().out
    scored = [read_result(out / which / "metrics.json").experiment for which in ("before", "after")]
    assert scored == ["pretrain", "pretrain_tuned"], "neither has taken the other's place"
