"""Searches as real Ray Tune jobs; each costs some 20 s, so one is shared by all that looks at its result."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from pipeline.config import parse
from pipeline.jobs import tune as module
from pipeline.jobs.resources import ResourcesParams, Team, connected
from pipeline.jobs.tune import begun_trials, search, trials_at_once
from pipeline.methods.baseline.method import Baseline
from pipeline.tracking.metrics import MetricsWriter
from pipeline.tracking.runs import StageRun
from pipeline.training import step
from pipeline.training.experiment import run
from pipeline.tuning.plan import make_plan, search_folder
from pipeline.tuning.space import TuneParams
from tests.noise import changed
from tests.tuning.small import DO_NOT_LEARN, LEARN, PLAIN, SEARCH, write_colours

ROOT = Path(__file__).parents[2]
RATE = "training.learning_rate"
FROM_BAD = changed(SEARCH, first={"training": {"learning_rate": DO_NOT_LEARN[0]}})


def resources(workers):
    return ResourcesParams(workers=workers, cpus_per_worker=1, retries=0, **dict(step.PLAIN))


def plan(runs, data, block=FROM_BAD):
    params = parse(TuneParams, block, "studies.searches.small")
    folder = search_folder("small", params, PLAIN, Baseline, data, runs)
    return make_plan("small", params, PLAIN, Baseline, data, folder)


@contextmanager
def ending_within(seconds):
    """A search that waits for ever is a failure, not a test suite that waits for ever."""

    def give_up(*_):
        raise TimeoutError(f"the search did not end within {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def ray():
    """A local Ray instance for all searches of this file, gone afterwards with all that it started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("PYTHONPATH", str(ROOT))
        before = psutil.Process().children(recursive=True)
        with connected(resources(2), groups=2, shows_output=False):
            started = [process for process in psutil.Process().children(recursive=True) if process not in before]
            yield
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return write_colours(tmp_path_factory.mktemp("prepared") / "colours")


@pytest.fixture(scope="module")
def found(colours, tmp_path_factory, ray):
    """A search that began with a learning rate that learns nothing, and ended."""
    with ending_within(240):
        return search(plan(tmp_path_factory.mktemp("runs"), colours), resources(0), StageRun())


def assert_no_placement_group_is_left():
    """Ray's own cleaner gives back those of stopped trainings; it looks every few seconds."""
    import ray.util

    deadline = time.monotonic() + 60
    while left := [group for group in ray.util.placement_group_table().values() if group["state"] != "REMOVED"]:
        assert time.monotonic() < deadline, left
        time.sleep(0.5)


def test_the_start_is_the_first_trial_and_is_never_stopped(found):
    assert found.start.number == 1
    assert found.start.values == {RATE: DO_NOT_LEARN[0]}
    assert found.start.ended(4) == "finished"


def test_a_learning_rate_that_learns_is_chosen_over_those_that_do_not(found):
    assert found.best.values[RATE] in LEARN
    assert found.gain > 0
    assert found.plan.found(found.best.values) == {"training": {"learning_rate": found.best.values[RATE]}}


def test_a_trial_that_does_badly_is_stopped_early_and_nothing_of_it_stays_behind(found):
    assert "stopped early" in [trial.ended(4) for trial in found.trials]
    assert not list((found.plan.folder / "trials").glob("*/epoch-*"))
    assert_no_placement_group_is_left()


def test_a_trial_is_the_training_that_it_would_be_without_a_search(found, tmp_path):
    job = replace(found.plan.job_of(found.start.values), run_folder=tmp_path / "run")
    history = run(job, lambda metrics: None, torch.device("cpu"), found.plan.validate)
    assert [row["val_mAP"] for row in history] == list(found.start.scores)


def test_as_many_trials_run_at_a_time_as_there_is_room_for():
    assert trials_at_once(Team(1, 1, 0), {"CPU": 2.0}) == 2
    assert trials_at_once(Team(2, 2, 1), {"CPU": 16.0, "GPU": 4.0}) == 2
    assert trials_at_once(Team(2, 1, 0), {"CPU": 3.0}) == 1


@pytest.mark.slow
@pytest.mark.ddp
def test_a_search_whose_trials_have_workers_of_their_own_stops_them_and_ends(colours, tmp_path, ray, found):
    with ending_within(420):
        other = search(plan(tmp_path, colours), resources(2), StageRun())
    assert other.best.values == found.best.values
    assert other.best.score == pytest.approx(found.best.score, rel=1e-6)
    assert "stopped early" in [trial.ended(4) for trial in other.trials]
    assert not [trial.failure for trial in other.trials if trial.failure]
    assert_no_placement_group_is_left()


@pytest.mark.slow
def test_optuna_and_the_median_rule_end_too(colours, tmp_path, ray):
    block = {**FROM_BAD, "sampler": "optuna", "scheduler": {"kind": "median", "grace": 2, "others": 1}, "trials": 8}
    with ending_within(240):
        other = search(plan(tmp_path, colours, block), resources(0), StageRun())
    assert other.start.ended(4) == "finished"
    assert other.best.values[RATE] in LEARN


@pytest.mark.slow
def test_a_trial_that_fails_is_told_and_the_others_go_on(colours, tmp_path, ray):
    block = changed(SEARCH, space={"settings": {"batch": {"identities": {"kind": "choice", "values": [2, 17]}}}})
    with ending_within(240):
        other = search(plan(tmp_path, colours, block), resources(0), StageRun())
    assert other.best.values == {"settings.batch.identities": 2}
    (failure,) = [trial.failure for trial in other.trials if trial.failure]
    assert failure.startswith("ValueError: a group needs 17 identities, but only 16 are labelled")


def test_an_epoch_that_was_saved_but_not_reported_is_reported_when_the_trial_goes_on(colours, tmp_path, monkeypatch):
    made = plan(tmp_path, colours)
    job = made.job_of(made.start)
    job.run_folder.parent.mkdir(parents=True)
    reported = []

    def train(job, resources, writer, **options):
        history = [{"epoch": epoch, "val_mAP": epoch / 10} for epoch in (1, 2, 3, 4)]
        for row in (history[0], history[2]):
            writer.log(row["epoch"], {"val_mAP": row["val_mAP"]})
        return history

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module.ray.tune, "report", reported.append)
    module._train_trial(dict(made.start), made, resources(0))
    rows = MetricsWriter(str(job.run_folder.with_suffix(module.LEDGER))).history()
    assert [(row["step"], row["val_mAP"]) for row in rows] == [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]
    assert {row["epoch"] for row in reported} == {2, 4}
    assert reported[-1] == {"epoch": 4, "val_mAP": 0.4}, "what a sampler learns of a trial is its last report"


LONG = {
    **changed(FROM_BAD, fidelity__training={"epochs": 6}),
    "space": {"training": {"learning_rate": {"kind": "log_uniform", "low": 1e-9, "high": 2e-2}}},
    "trials": 6,
}
DRIVER = """
import sys
from pathlib import Path
from pipeline.jobs.tune import search
from pipeline.tracking.runs import StageRun
from tests.jobs.test_tune import LONG, plan, resources
search(plan(Path(sys.argv[1]), Path(sys.argv[2]), {**LONG, "sampler": sys.argv[3]}), resources(0), StageRun())
"""


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "optuna"])
def test_a_search_that_was_killed_goes_on_and_trains_nothing_twice(colours, tmp_path, sampler):
    made = plan(tmp_path, colours, {**LONG, "sampler": sampler})
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    driver = [sys.executable, "-c", DRIVER, str(tmp_path), str(colours), sampler]
    log = tmp_path / "log"
    with ending_within(900), log.open("w") as output:
        first = subprocess.Popen(driver, cwd=ROOT, env=environment, stdout=output, stderr=output)
        while not over(made):
            assert first.poll() is None, log.read_text()
            time.sleep(0.1)
        started = psutil.Process(first.pid).children(recursive=True)
        first.kill()
        first.wait()
        _, alive = psutil.wait_procs(started, timeout=150)  # Ray's agents look for their dead master for a minute
        assert alive == []
        before = begun_trials(made)
        assert len(before) < LONG["trials"], "the search was to be killed while it was under way"
        ledgers = {file: file.read_bytes() for file in over(made)}
        subprocess.run(driver, cwd=ROOT, env=environment, stdout=output, stderr=output, check=True)
    after = begun_trials(made)
    assert [trial.values for trial in after[: len(before)]] == [trial.values for trial in before]
    assert len(after) == LONG["trials"]
    assert all(file.read_bytes() == content for file, content in ledgers.items())
    assert all(trial.ended(6) in ("finished", "stopped early") for trial in after)


def over(made):
    """Returns the ledgers of the trials that came to the end, or were stopped."""
    return [file.with_suffix(".jsonl") for file in (made.folder / "trials").glob("*.over")]
