"""What becomes of a real Ray job whose processes or machines are taken from it while it works."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as spawn

from pipeline.jobs.resources import ResourcesParams
from pipeline.jobs.train import train
from pipeline.methods.baseline.method import Baseline
from pipeline.tracking.metrics import MetricsWriter
from pipeline.training import checkpoint, stopping
from pipeline.training.experiment import describe, run
from pipeline.training.step import PLAIN
from tests.jobs import slow_job
from tests.noise import BASELINE

pytestmark = [pytest.mark.ddp, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 1200  # on busy cores; a minute on idle ones


def environment(**variables):
    kept = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


@contextmanager
def started(*command, **variables):
    """A process of this project, gone afterwards with all that it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, command)], cwd=ROOT, env=environment(**variables),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        for left in [*children(process), process]:
            left.kill()
        process.wait()


def children(process):
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def wait_for(has_come):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not has_come():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _train_plainly(rank, runs, data, beats):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{runs}/meet", rank=rank, world_size=2)
    run(slow_job.describe_job(runs, data, beats), lambda metrics: None, torch.device("cpu"))
    dist.destroy_process_group()


def files_of(run_folder):
    found = checkpoint.latest(run_folder)
    assert found.meta["epoch"] == slow_job.EPOCHS
    return found.meta["files"][checkpoint.MODEL], found.meta["files"][checkpoint.METHOD]


def test_a_job_that_is_stopped_and_one_whose_driver_is_killed_end_bit_for_bit_as_an_undisturbed_one(tmp_path, noise):
    plain, runs, beats = tmp_path / "plain", tmp_path / "runs", tmp_path / "beats"
    plain.mkdir()
    spawn.spawn(_train_plainly, (plain, noise, beats), nprocs=2)
    expected = files_of(slow_job.describe_job(plain, noise, beats).run_folder)
    beats.unlink()
    run_folder = slow_job.describe_job(runs, noise, beats).run_folder
    command = ("tests.jobs.slow_job", 2, runs, noise, beats)

    hold = beats.with_suffix(".hold")
    hold.write_text("1 1")
    with started(*command) as process:
        wait_for(lambda: beats.exists() and beats.read_text() == "1 1")
        of_ray = children(process)
        process.send_signal(signal.SIGTERM)
        wait_for((run_folder / stopping.REQUEST).exists)
        hold.unlink()
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 143, said
    assert "slow: stopped by SIGTERM and saved; the same command goes on from there" in said
    assert "StoppedError" not in said
    stopped_at = checkpoint.latest(run_folder).folder.name
    assert stopped_at.startswith("epoch-0001-step-"), "the signal struck in the middle of an epoch"
    assert psutil.wait_procs(of_ray, timeout=60)[1] == []

    hold.write_text("2 2")
    with started(*command) as process:
        wait_for(lambda: beats.read_text() == "2 2")
        of_ray = children(process)
        process.kill()
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert "resumed after epoch 1 and " in said
    assert checkpoint.latest(run_folder).folder.name == "epoch-0002", "the driver was killed in the middle of an epoch"
    assert psutil.wait_procs(of_ray, timeout=300)[1] == []  # Ray's agents first try for a minute to report the death
    hold.unlink()

    with started(*command) as process:
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    assert "resumed after epoch 2 of 4" in said
    assert files_of(run_folder) == expected


def lose_a_machine(runs, noise, fewest):
    runs.mkdir()
    with started("tests.jobs.two_machines", runs, noise, fewest, RAY_AUTH_MODE="disabled") as process:
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert (runs / "struck").exists(), said
    (run_folder,) = runs.glob("stranded-*[!k]")
    return process.returncode, said, run_folder


def test_a_job_of_one_or_two_workers_goes_on_without_a_machine_that_was_lost(tmp_path, noise):
    status, said, run_folder = lose_a_machine(tmp_path / "runs", noise, 1)
    assert status == 0, said
    assert "stranded: lost a worker (" in said
    assert "stranded: 1 workers instead of 2" in said
    assert "resumed after epoch 1 of 2" in said

    alone = describe("alone", BASELINE, Baseline, noise, tmp_path / "alone")
    history = train(alone, ResourcesParams(workers=0, cpus_per_worker=1, retries=0, **dict(PLAIN)), MetricsWriter(None))
    for ours, theirs in zip(json.loads((tmp_path / "runs" / "history.json").read_text()), history, strict=True):
        assert [ours["epoch"], ours["loss"]] == pytest.approx([theirs["epoch"], theirs["loss"]], rel=1e-6)
    expected = checkpoint.latest(alone.run_folder).model()
    for name, value in checkpoint.latest(run_folder).model().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-9)


def test_a_job_that_needs_the_machine_that_was_lost_ends_and_says_so(tmp_path, noise):
    status, said, run_folder = lose_a_machine(tmp_path / "runs", noise, 2)
    assert status == 1
    assert "error: 2 workers of 1 CPUs need 2, and there are 1: lower the experiment's block of `resources`" in said
    assert checkpoint.latest(run_folder).meta["epoch"] == 1
