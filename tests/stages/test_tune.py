import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from pipeline import locking
from pipeline.config import parse
from pipeline.methods.registry import find
from pipeline.training.checkpoint import open_checkpoint
from pipeline.tuning.outcome import Outcome, Trial
from pipeline.tuning.plan import search_folder
from pipeline.tuning.space import TuneParams
from stages import gain, train_tuned, tune
from tests.noise import BASELINE, changed
from tests.tuning.small import SEARCH

RATE = "training.learning_rate"
TUNE = {"small": {**SEARCH, "experiment": "pretrain"}}


@pytest.fixture
def search(monkeypatch):
    """Stands in for Ray Tune: the second of two trials is the better one."""

    def run(plan, resources, tracked):
        return Outcome(plan, [Trial(1, dict(plan.start), [0.2] * 4, ""), Trial(2, {RATE: 2e-2}, [0.3] * 4, "")])

    module = ModuleType("pipeline.jobs.tune")
    module.search = run
    monkeypatch.setitem(sys.modules, "pipeline.jobs.tune", module)


def test_a_search_leaves_what_it_found_and_nothing_else(fresh, search, capsys):
    here = fresh.params["resources"]["pretrain"]
    fresh.write(tune=TUNE, resources={"tune": here})
    fresh.run(tune, "small")
    out = fresh.folder / "artifacts" / "tune" / "small"
    assert yaml.safe_load((out / "best.yaml").read_text()) == {"training": {"learning_rate": 2e-2}}
    assert sorted(file.name for file in out.iterdir()) == ["best.yaml", "search.json", "trials.csv"]
    assert not [path for path in (fresh.folder / ".runs" / "tune").iterdir() if path.is_dir()]
    assert "best: trial 2, val_mAP 0.3000 after 4 epochs; start: 0.2000; gain +0.1000" in capsys.readouterr().out


def test_a_search_that_another_process_is_at_is_refused_before_anything_is_made(fresh, search, refused, monkeypatch):
    fresh.write(tune=TUNE, resources={"tune": fresh.params["resources"]["pretrain"]})
    monkeypatch.setattr(locking, "PATIENCE_SECONDS", 0.0)
    monkeypatch.chdir(fresh.folder)
    params = parse(TuneParams, TUNE["small"], "tune.small")
    folder = search_folder("small", params, BASELINE, find("baseline"), Path("data/prepared/noise"), Path(".runs"))
    with locking.exclusive_lock(folder, "searched"):
        assert "is being searched by another process: wait for it, or stop it" in refused(fresh, tune, "small")
    assert not folder.exists()


def test_a_search_without_a_block_is_refused(fresh, refused):
    fresh.write(tune=TUNE)
    assert refused(fresh, tune, "mdpr") == "error: params.yaml has no tune.mdpr; there is: small"


def found(project, patch):
    """Writes what a search leaves."""
    out = project.folder / "artifacts" / "tune" / "small"
    out.mkdir(parents=True, exist_ok=True)
    (out / "best.yaml").write_text(yaml.safe_dump(patch))
    summary = {"experiment": "pretrain", "criterion": "val_mAP", "epochs": 4, "trials": 2}
    (out / "search.json").write_text(json.dumps({**summary, "start": 0.2, "best": 0.2, "gain": 0.0}))


def test_what_a_search_found_is_trained_in_full_under_its_own_name(fresh):
    fresh.write(tune=TUNE)
    found(fresh, {"training": {"learning_rate": 2e-2}})
    fresh.run(train_tuned, "small")
    trained = open_checkpoint(fresh.folder / "artifacts" / "train" / "small_tuned")
    assert trained.meta["experiment"] == changed(BASELINE, training__learning_rate=2e-2)
    assert trained.meta["epoch"] == BASELINE["training"]["epochs"]


def test_a_best_that_fits_no_experiment_is_named(fresh, refused):
    fresh.write(tune=TUNE)
    found(fresh, {"training": {"rate": 1.0}})
    assert "artifacts/tune/small/best.yaml.training.rate overrides nothing" in refused(fresh, train_tuned, "small")


def test_a_search_that_found_the_start_gained_nothing_on_the_test_set(trained, capsys):
    trained.write(tune=TUNE)
    found(trained, {})
    trained.run(train_tuned, "small")
    trained.run(gain, "small")
    gains = json.loads((trained.folder / "artifacts" / "gain" / "small" / "gain.json").read_text())
    assert gains == {"test/rank1": 0.0, "test/mAP": 0.0, "test/mINP": 0.0, "val_mAP": 0.0}
    assert "+0.0" in capsys.readouterr().out
