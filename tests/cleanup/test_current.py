import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cleanup.current import current_folder
from tests.noise import BASELINE, MDPR
from tests.stages.conftest import make_project

ROOT = Path(__file__).parents[2]
STOPPED = """
import sys
import pipeline.jobs.train
def train(*ignored):
    sys.exit("stopped")
pipeline.jobs.train.train = train
from stages.train import run
run(sys.argv[1])
"""


@pytest.fixture
def project(tmp_path, noise, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return make_project(tmp_path / "project", noise)


def test_it_is_the_folder_in_which_the_stage_trains(project):
    stopped = subprocess.run(
        [sys.executable, "-c", STOPPED, "pretrain_seed4"], cwd=project.folder, env=dict(os.environ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    (lock,) = (project.folder / ".runs").glob("*.lock")
    assert stopped.stderr.strip() == "stopped"
    assert current_folder("train", "pretrain_seed4", project.folder) == lock.stem


def test_other_parameters_have_another_folder_and_unknown_names_none(project):
    before = current_folder("train", "mdpr", project.folder)
    project.write(experiments={"pretrain": BASELINE, "mdpr": {**MDPR, "seed": 4}})
    assert before.startswith("mdpr-")
    assert current_folder("train", "mdpr", project.folder) not in (before, "")
    assert current_folder("train", "gone", project.folder) == ""
    assert current_folder("tune", "gone", project.folder) == ""


def test_what_can_not_be_known_is_said(project):
    project.write(experiments={"mdpr": {**MDPR, "start": "artifacts/train/pretrain"}})
    with pytest.raises(ValueError, match="start: no weights at"):
        current_folder("train", "mdpr", project.folder)
