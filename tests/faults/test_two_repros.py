"""Two ``dvc repro`` at once, and one that was killed: what a user reads, and that no stage runs twice at a time."""

import os
import subprocess
import sys
import time

import pytest

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
            [sys.executable, "-m", "dvc", *command], cwd=tmp_path, env={**os.environ, "DVC_NO_ANALYTICS": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    start("init", "--no-scm", "--quiet").communicate(timeout=120)
    yield start
    (tmp_path / "over").touch()


def wait_for_runs(folder, count):
    deadline = time.monotonic() + 120
    while not (folder / "ran").exists() or len((folder / "ran").read_text().split()) < count:
        assert time.monotonic() < deadline, "the stage was never begun"
        time.sleep(0.1)


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
