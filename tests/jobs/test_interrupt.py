"""Ctrl-C, which reaches every process of a terminal's group at once, ends real work with one sentence."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 600  # on busy cores; seconds on idle ones


def start(*command):
    """Starts a process in a group of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen(
        [sys.executable, *map(str, command)], cwd=ROOT, env=environment | {"PYTHONPATH": str(ROOT)},
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def interrupt(process, is_under_way):
    """Interrupts a process and those it has started, once it is under way, and checks how it ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_under_way():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "stopped; the same command goes on from where it was"
    assert "Traceback" not in said
    assert "Error" not in said


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=[pytest.mark.ddp, pytest.mark.slow])])
def test_ctrl_c_ends_a_training_with_130_and_one_sentence_and_the_same_command_goes_on(tmp_path, noise, workers):
    beats = tmp_path / "beats"
    command = ("-m", "tests.jobs.slow_job", workers, tmp_path / "runs", noise, beats)
    hold = beats.with_suffix(".hold")
    hold.write_text("2 1")
    interrupt(start(*command), lambda: beats.exists() and beats.read_text() == "2 1")

    hold.unlink()
    process = start(*command)
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    assert "resumed after epoch 2 of 4" in said


@pytest.mark.ddp
@pytest.mark.slow
def test_a_training_whose_ray_is_gone_ends_with_one_sentence_and_leaves_no_process(tmp_path, noise):
    beats = tmp_path / "beats"
    beats.with_suffix(".hold").write_text("2 1")
    process = start("-m", "tests.jobs.slow_job", 2, tmp_path / "runs", noise, beats)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (beats.exists() and beats.read_text() == "2 1"):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started = psutil.Process(process.pid).children(recursive=True)
    (control,) = [child for child in started if child.name() == "gcs_server"]
    control.kill()
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1, said
    assert said.splitlines()[-1].startswith("error: Ray's control process at 127.0.0.1:")
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(started, timeout=120)
    assert alive == []


RENDER = """
import pathlib, signal, sys
from pipeline.synthetic_people.world import render
from stages.cli_errors import exit_on_user_error
from tests.synthetic_people.test_world import params
signal.signal(signal.SIGINT, signal.default_int_handler)
with exit_on_user_error():
    many = {"identities": 90, "appearances": 270, "images": 9000}
    render(params(train=many, test=many), pathlib.Path(sys.argv[1]), workers=2)
"""


def test_ctrl_c_ends_the_processes_that_render_people_too(tmp_path):
    interrupt(start("-c", RENDER, tmp_path / "world"), lambda: list(tmp_path.rglob("*.jpg")))
    assert not (tmp_path / "world").exists()
