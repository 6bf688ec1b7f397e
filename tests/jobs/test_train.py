"""Trainings as real Ray jobs; each costs some 20 s, so one is shared by all that looks at its result."""

import os
from pathlib import Path

import psutil
import pytest
import torch

from pipeline.jobs.resources import ResourcesParams, connected
from pipeline.jobs.train import MISTAKES, train
from pipeline.methods.baseline.method import Baseline
from pipeline.tracking.metrics import MetricsWriter
from pipeline.training import checkpoint
from pipeline.training.experiment import describe
from pipeline.training.step import PLAIN
from tests.jobs.victims import Killed, Mistaken, Recomputed, Together
from tests.noise import BASELINE, changed

ROOT = Path(__file__).parents[2]


def resources(workers, retries=0, **step):
    return ResourcesParams(workers=workers, cpus_per_worker=1, retries=retries, **{**dict(PLAIN), **step})


class Run:
    """A job that was run: its history, the lines that were written of it, and its last checkpoint."""

    def __init__(self, folder, data, params, *, method=Baseline, block=BASELINE):
        folder.mkdir()
        self.job = describe("small", block, method, data, folder)
        spool = folder / "metrics.jsonl"
        spool.touch()
        self.writer = MetricsWriter(str(spool))
        self.history = train(self.job, params, self.writer)
        self.written = spool.read_text().splitlines()
        self.last = checkpoint.latest(self.job.run_folder)


@pytest.fixture(scope="module")
def ray():
    """A local Ray instance for all jobs of this file, gone afterwards with all that it started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("PYTHONPATH", str(ROOT))
        before = psutil.Process().children(recursive=True)
        with connected(resources(2), groups=2):
            started = [process for process in psutil.Process().children(recursive=True) if process not in before]
            yield
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []


@pytest.fixture(scope="module")
def alone(noise, tmp_path_factory):
    return Run(tmp_path_factory.mktemp("alone") / "runs", noise, resources(0))


@pytest.fixture(scope="module")
def two(noise, tmp_path_factory, ray):
    """Two workers that recompute, which changes nothing."""
    return Run(tmp_path_factory.mktemp("two") / "runs", noise, resources(2, recompute=True), method=Recomputed)


def losses(history):
    return [{name: row[name] for name in ("epoch", "loss", "identity", "triplet", "learning_rate")} for row in history]


def assert_written_once(run):
    rows = run.writer.history()
    assert len(run.written) == len(rows) == len(run.history)
    assert [{"epoch": row.pop("step"), **row} for row in rows] == run.history


def test_one_process_writes_each_epoch_once(alone):
    assert [row["epoch"] for row in alone.history] == [1, 2]
    assert_written_once(alone)


def test_one_process_recomputes_what_it_is_asked_to_and_ends_with_the_same_weights(noise, tmp_path, alone):
    with pytest.raises(ValueError, match=r"^not recomputed: backbone\.layer1\.0, "):
        Run(tmp_path / "without", noise, resources(0), method=Recomputed)
    run = Run(tmp_path / "runs", noise, resources(0, recompute=True), method=Recomputed)
    assert losses(run.history) == losses(alone.history)
    expected = alone.last.model()
    assert all(torch.equal(value, expected[name]) for name, value in run.last.model().items())


def test_one_process_sees_as_many_groups_at_once_as_it_is_asked_to_and_ends_with_the_same_weights(
    noise, tmp_path, alone
):
    with pytest.raises(ValueError, match="images are not two groups"):
        Run(tmp_path / "in turn", noise, resources(0), method=Together)
    run = Run(tmp_path / "runs", noise, resources(0, groups_at_once=2), method=Together)
    for ours, theirs in zip(losses(run.history), losses(alone.history), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6)
    expected = alone.last.model()
    for name, value in run.last.model().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-9)


@pytest.mark.ddp
def test_the_controller_writes_each_epoch_of_two_workers_once(two):
    assert_written_once(two)


@pytest.mark.ddp
def test_two_workers_compute_what_one_process_does(alone, two):
    for ours, theirs in zip(losses(two.history), losses(alone.history), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6)
    expected = alone.last.model()
    for name, value in two.last.model().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-9)


@pytest.mark.ddp
def test_a_mistake_in_a_worker_reaches_the_caller_as_itself_and_is_not_tried_again(noise, tmp_path, ray):
    block = changed(BASELINE, settings__struck=str(tmp_path / "struck"))
    with pytest.raises(ValueError, match=r"^the second worker met a wrong image$"):
        Run(tmp_path / "runs", noise, resources(2, retries=1), method=Mistaken, block=block)


@pytest.mark.ddp
def test_a_job_that_loses_a_worker_ends_with_the_same_weights(noise, tmp_path, two, capsys):
    block = changed(BASELINE, settings__struck=str(tmp_path / "struck"))
    run = Run(tmp_path / "runs", noise, resources(2, retries=1), method=Killed, block=block)
    assert int((tmp_path / "struck").read_text()) != os.getpid()
    assert "small: lost a worker (" in capsys.readouterr().err
    assert losses(run.history) == losses(two.history)
    expected = two.last.model()
    assert all(torch.equal(value, expected[name]) for name, value in run.last.model().items())


def test_an_error_in_one_process_reaches_the_caller_as_itself(noise, tmp_path):
    block = changed(BASELINE, settings__batch__identities=7)
    with pytest.raises(ValueError, match="a group needs 7 identities, but only 6 are labelled"):
        Run(tmp_path / "runs", noise, resources(0), block=block)


def test_a_full_gpu_is_no_lost_worker_that_is_worth_another_try():
    assert issubclass(torch.OutOfMemoryError, MISTAKES)
