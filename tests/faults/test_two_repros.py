"""Two ``dvc repro`` at once, and one that was killed: what a user reads, and that no stage runs twice at a time."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from pipeline import locking
from tests.noise import BASELINE, changed
from tests.stages.conftest import make_project

TRAIN = {
    "cmd": f"{sys.executable} -m stages train pretrain",
    "deps": ["params.yaml"],
    "outs": ["artifacts/train/pretrain"],
}
STAGE = """\
stages:
  train:
    cmd: echo begun >> ran; while [ ! -e over ]; do sleep 0.1; done; mkdir -p out; echo done > out/model
    outs: [out]
"""


@pytest.fixture
def dvc(tmp_path):
    """Starts DVC in a project whose one stage ends once a file ``over`` is there."""
    (tmp_path / "dvc.yaml").write_text(STAGE)

    def start(*command):
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", *command], cwd=tmp_path,
            env={**os.environ, "DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    start("init", "--no-scm", "--quiet").communicate(timeout=120)
    yield start
    (tmp_path / "over").touch()


@pytest.fixture
def project(tmp_path, noise):
    """A project of DVC that trains some seconds."""
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": TRAIN}}))
    project = make_project(tmp_path, noise)
    project.add("recipes", baseline=changed(BASELINE, training__epochs=20))
    return project


def test_what_a_stage_has_trained_after_dvc_alone_was_killed_is_taken_and_not_trained_again(dvc, project):
    first = dvc("repro")
    lock, out = (project.folder / place for place in (".runs/*.lock", "artifacts/train/pretrain"))
    wait_for(lambda: [file for file in lock.parent.glob(lock.name) if locking.is_held(file)])
    first.kill()
    first.communicate(timeout=120)  # until the stage has ended, which has the same output
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    second = dvc("repro")
    said, _ = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert "epoch" not in said
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    assert "artifacts/train/pretrain" in (project.folder / "dvc.lock").read_text()


def wait_for(happens):
    deadline = time.monotonic() + 120
    while not happens():
        assert time.monotonic() < deadline, "it was never begun"
        time.sleep(0.05)


def wait_for_runs(folder, count):
    wait_for(lambda: (folder / "ran").exists() and len((folder / "ran").read_text().split()) >= count)


def test_a_second_repro_ends_at_once_and_names_the_first(dvc, tmp_path):
    first = dvc("repro")
    wait_for_runs(tmp_path, 1)
    second = dvc("repro")
    said, _ = second.communicate(timeout=120)
    assert second.returncode != 0
    assert "busy, it is being blocked by:" in said
    assert f"(PID {first.pid}): " in said
    assert first.poll() is None, "the first went on meanwhile"
    (tmp_path / "over").touch()
    assert first.wait(timeout=120) == 0
    assert (tmp_path / "ran").read_text() == "begun\n"


def test_a_repro_that_was_killed_blocks_none_after_it(dvc, tmp_path):
    first = dvc("repro")
    wait_for_runs(tmp_path, 1)
    first.kill()
    first.wait(timeout=60)
    second = dvc("repro")
    wait_for_runs(tmp_path, 2)
    (tmp_path / "over").touch()
    said, _ = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert "had been killed. Auto removed it from the lock file" in said
