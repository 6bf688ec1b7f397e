import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.cleanup.current import current_folders
from tests.noise import MDPR, changed
from tests.stages.conftest import make_project

ROOT = Path(__file__).parents[2]
STOPPED = """
import sys
import pipeline.jobs.train
def train(job, *ignored):
    epoch = job.run_folder / "epoch-0001"
    epoch.mkdir(parents=True)
    (epoch / "meta.json").write_text(__import__("json").dumps({"experiment": dict(job.experiment)}))
    sys.exit("stopped")
pipeline.jobs.train.train = train
from stages.__main__ import main
main(["train", *sys.argv[1:]])
"""


@pytest.fixture
def project(tmp_path, noise, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return make_project(tmp_path / "project", noise)


def stop(project, *words):
    """Begins a training that is stopped after an epoch; returns the name of its folder."""
    before = set((project.folder / ".runs").glob("*.lock"))
    stopped = subprocess.run(
        [sys.executable, "-c", STOPPED, *words], cwd=project.folder, env=dict(os.environ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert stopped.stderr.strip() == "stopped"
    (lock,) = set((project.folder / ".runs").glob("*.lock")) - before
    return lock.stem


def test_it_is_the_folder_in_which_the_stage_trains(project):
    assert current_folders("train", "pretrain", project.folder) == [stop(project, "pretrain")]


def test_every_declared_seed_has_one_and_another_that_was_begun(project):
    mdpr = {**project.params["experiments"]["mdpr"], "seeds": 3}
    project.add("experiments", mdpr=mdpr)
    declared = current_folders("train", "mdpr", project.folder)
    assert len(set(declared)) == 3
    assert stop(project, "mdpr", "--seed", "5") in declared
    other = stop(project, "mdpr", "--seed", "77")
    assert other not in declared
    assert {*current_folders("train", "mdpr", project.folder)} == {*declared, other}


def test_a_recipe_on_data_has_one_without_being_declared(project):
    assert stop(project, "mdpr@noise") in current_folders("train", "mdpr@noise", project.folder)


def test_other_parameters_have_another_folder_and_unknown_names_none(project):
    (before,) = current_folders("train", "mdpr", project.folder)
    project.add("recipes", mdpr=changed(MDPR, training__epochs=3))
    assert before.startswith("mdpr-")
    (after,) = current_folders("train", "mdpr", project.folder)
    assert after != before
    assert current_folders("train", "gone", project.folder) == []
    assert current_folders("tune", "gone", project.folder) == []


def test_a_search_has_one_and_what_it_has_found_another(project):
    searches = {"small": {"of": {"experiment": "pretrain", "paper": "baseline", "data": "noise"}}}
    project.write(studies={**project.params["studies"], "searches": searches})
    (searched,) = current_folders("tune", "small", project.folder)
    assert searched.startswith("small-")
    found = project.folder / "artifacts" / "tune" / "small"
    found.mkdir(parents=True)
    (found / "best.yaml").write_text(yaml.safe_dump({"training": {"learning_rate": 2e-2}}))
    (tuned,) = current_folders("train", "small_tuned", project.folder)
    assert tuned.startswith("small_tuned-")


def test_what_can_not_be_known_is_said(project):
    project.add("recipes", mdpr=changed(MDPR, start="pretrain"))
    with pytest.raises(ValueError, match="start: no weights at"):
        current_folders("train", "mdpr", project.folder)
