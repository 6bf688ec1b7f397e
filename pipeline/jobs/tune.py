"""A search as a Ray Tune job. A trial is a training like any other, by ``pipeline.jobs.train``, that is validated.

What a trial has reported stands in a ledger in the search's own folder, and is no pickle. A search that was killed is
begun anew: trials that are over report from their ledger again, so that scheduler and sampler learn what they knew
(which Ray's own ``Tuner.restore`` does not tell a scheduler); others go on from their last checkpoint.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import ray.train
import ray.tune
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.result import AUTO_RESULT_KEYS
from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule, TrialScheduler
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter

from pipeline import locking
from pipeline.jobs.resources import ResourcesParams, Team, connected
from pipeline.jobs.train import train
from pipeline.tracking.metrics import MetricsWriter
from pipeline.tracking.runs import StageRun, TrialRun
from pipeline.tuning.outcome import Outcome, Trial
from pipeline.tuning.plan import Plan
from pipeline.tuning.space import Choice, Domain, Halving

SETTINGS = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""Ray Tune's environment: Ctrl-C ends a search as it ends a training, and the progress shown is ours."""

LEDGER, NUMBER, OVER, ERROR, FAILURE = ".jsonl", ".json", ".over", ".error", ".failed"
"""What is kept of a trial beside its checkpoints; ``OVER`` marks one that has finished, or was stopped."""


def search(plan: Plan, resources: ResourcesParams, tracked: StageRun) -> Outcome:
    """Runs the search, or goes on with it, and returns what became of it.

    Each trial is trained as ``resources`` say, with 0 workers in a process of its own; there are as many at a time as
    the machine, or the cluster, has room for. With several at a time who is stopped depends on who came first.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    (plan.folder / "trials").mkdir(parents=True, exist_ok=True)
    shutil.rmtree(plan.folder / "ray", ignore_errors=True)
    alone = resources.workers == 0
    sharing = resources.model_copy(update={"workers": 1}) if alone else resources
    with connected(sharing, plan.job.groups, shows_output=False) as team:
        # A trial with workers needs nothing for itself, but Tune takes no request for nothing.
        needs: dict[str, float] = team.share() if alone else {"memory": 1}
        ray.tune.Tuner(
            ray.tune.with_resources(
                ray.tune.with_parameters(_train_trial, plan=plan, resources=resources),
                ray.tune.PlacementGroupFactory([needs]),
            ),
            param_space=_drawn(plan.space),
            tune_config=ray.tune.TuneConfig(
                metric=plan.criterion,
                mode="max",
                search_alg=_sampler(plan, trials_at_once(team, ray.cluster_resources())),
                scheduler=_scheduler(plan),
                num_samples=plan.params.trials,
                reuse_actors=alone,
            ),
            run_config=ray.tune.RunConfig(
                name="ray", storage_path=str(plan.folder), verbose=0, callbacks=[Follow(plan, tracked)]
            ),
        ).fit()
    return Outcome(plan, begun_trials(plan))


def begun_trials(plan: Plan) -> list[Trial]:
    """Returns the trials of a search as they stand in its folder, in the order in which they began."""
    trials = []
    for file in (plan.folder / "trials").glob(f"*{NUMBER}"):
        begun = json.loads(file.read_text())
        rows = MetricsWriter(str(file.with_suffix(LEDGER))).history()
        failure = file.with_suffix(FAILURE)
        why = failure.read_text() if failure.is_file() else ""
        trials.append(Trial(begun["number"], begun["values"], [row[plan.criterion] for row in rows], why))
    return sorted(trials, key=lambda trial: trial.number)


def trials_at_once(team: Team, there: Mapping[str, float]) -> int:
    """Returns how many teams the CPUs and GPUs that are there suffice for; one at least."""
    return max(1, min(int(there.get(kind, 0) // (team.workers * amount)) for kind, amount in team.share().items()))


def _train_trial(values: dict[str, Any], plan: Plan, resources: ResourcesParams) -> None:
    """Trains one trial, in a process of Ray's; reports first what was reported of the same values before.

    Of two trials with the same values the second waits for the first, and has nothing to train then.
    """
    job = plan.job_of(values)
    ledger = job.run_folder.with_suffix(LEDGER)
    held = locking.hold(ledger, patience_seconds=math.inf)
    assert held is not None, "patience never ends"
    try:
        writer = MetricsWriter(str(ledger))
        rows = writer.history()
        for row in rows:
            ray.tune.report({"epoch": row.pop("step"), **row})
        if len(rows) < plan.epochs and not ledger.with_suffix(OVER).exists():
            listener = ReportToTune() if resources.workers == 0 else TuneReportCallback()
            history = train(job, resources, writer, validate=plan.validate, listeners=[listener])
            if late := writer.complete(history):
                for epoch in (*late, history[-1]):  # what Optuna learns of a trial is its last report
                    ray.tune.report(dict(epoch))
    except Exception as error:
        ledger.with_suffix(ERROR).write_text(f"{type(error).__name__}: {error}".splitlines()[0])
        raise
    finally:
        held.release()


class ReportToTune(ray.train.UserCallback):
    """Reports each epoch of a trial that is trained in its own process; blocks until it is known how to go on."""

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        """Reports the epoch; ends the thread by SystemExit when the trial is stopped."""
        ray.tune.report(dict(metrics[0]))


class Follow(ray.tune.Callback):
    """Numbers the trials, says what becomes of them, and keeps their runs in tracking."""

    def __init__(self, plan: Plan, tracked: StageRun) -> None:
        self.plan, self.tracked = plan, tracked
        self.numbers: dict[Path, int] = {}
        self.epochs: dict[Path, set[int]] = {}
        self.runs: dict[Path, TrialRun] = {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Numbers the trial, as it was numbered before if it began before."""
        place = self.plan.place(trial.config)
        if place in self.numbers:
            return
        file = place.with_suffix(NUMBER)
        if not file.is_file():
            start = self.plan.place(self.plan.start)  # number 1, whichever process of the first few is up first
            others = [begun for begun in place.parent.glob(f"*{NUMBER}") if begun.with_suffix("") != start]
            number = 1 if place == start else len(others) + 2
            place.with_suffix(LEDGER).touch()
            unseen = file.with_suffix(".new")
            unseen.write_text(json.dumps({"number": number, "values": trial.config}))
            unseen.rename(file)
        for left in (ERROR, FAILURE):
            place.with_suffix(left).unlink(missing_ok=True)
        self.numbers[place], self.epochs[place] = json.loads(file.read_text())["number"], set()
        self._run(place, trial)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Takes an epoch's metrics to tracking and says the score, once for each epoch."""
        place, epoch = self.plan.place(trial.config), int(result["epoch"])
        if epoch in self.epochs[place]:
            return
        self.epochs[place].add(epoch)
        metrics = {name: value for name, value in result.items() if name not in AUTO_RESULT_KEYS}
        measured = {name: value for name, value in metrics.items() if type(value) is float}
        self._run(place, trial).writer().log(epoch, measured)
        self._say(place, f"epoch {epoch}/{self.plan.epochs}  {self.plan.criterion} {result[self.plan.criterion]:.4f}")

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ends the trial's run, and removes its checkpoints: what it has reported is enough from here on."""
        place = self.plan.place(trial.config)
        place.with_suffix(OVER).touch()
        shutil.rmtree(place, ignore_errors=True)
        self._end(place, "FINISHED", "" if len(self.epochs[place]) >= self.plan.epochs else "stopped early")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Keeps why the trial failed; the others go on. A trial that is stopped may leave an error too: no failure."""
        place = self.plan.place(trial.config)
        error = place.with_suffix(ERROR)
        why = error.read_text() if error.is_file() else "its process was lost"
        place.with_suffix(FAILURE).write_text(why)
        self._end(place, "FAILED", f"failed: {why}")

    def _run(self, place: Path, trial: Any) -> TrialRun:
        """Returns the trial's run in tracking; a second trial of the same values may open a new one."""
        if place not in self.runs:
            name = f"{self.plan.name} {self.numbers[place]}"
            self.runs[place] = self.tracked.begin_trial(name=name, params=trial.config)
        return self.runs[place]

    def _end(self, place: Path, status: Literal["FINISHED", "FAILED"], what: str) -> None:
        if place in self.runs:
            self.runs.pop(place).end(status)
        if what:
            self._say(place, what)

    def _say(self, place: Path, what: str) -> None:
        print(f"{self.plan.name}, trial {self.numbers[place]}: {what}", file=sys.stderr)


class _Sparing:
    """A scheduler that stops neither the start, from which the gain is measured, nor a trial in its last epoch."""

    def spare(self, plan: Plan) -> Any:
        """Returns itself, knowing whom to spare."""
        self.plan = plan
        return self

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Returns whether the trial goes on."""
        stopped: set[Any] = getattr(self, "_stopped_trials", set())
        stopped.discard(trial)  # the median rule never expects to see again whom it would have stopped
        decision = super().on_trial_result(controller, trial, result)  # type: ignore[misc]
        is_spared = trial.config == self.plan.start or result["epoch"] >= self.plan.epochs
        return TrialScheduler.CONTINUE if is_spared else decision


class _Halving(_Sparing, ASHAScheduler):
    pass


class _Median(_Sparing, MedianStoppingRule):
    pass


def _scheduler(plan: Plan) -> TrialScheduler:
    params = plan.params.scheduler
    if isinstance(params, Halving):
        return _Halving(
            time_attr="epoch", max_t=plan.epochs + 1, grace_period=params.grace, reduction_factor=params.reduction
        ).spare(plan)
    return _Median(
        time_attr="epoch",
        grace_period=params.grace,
        min_samples_required=params.others,
        min_time_slice=plan.epochs,  # no trial is put aside for another: it would be trained again from its checkpoint
    ).spare(plan)


def _sampler(plan: Plan, at_once: int) -> Any:
    """Returns what draws the trials, the start first, so many at a time.

    The random one draws the same trials again when a search goes on. Optuna's draws depend on what it has seen, so it
    is first given those that were begun, and then draws by another seed.
    """
    if plan.params.sampler == "random":
        return BasicVariantGenerator(
            points_to_evaluate=[dict(plan.start)], max_concurrent=at_once, random_state=plan.params.seed
        )
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    others = [dict(trial.values) for trial in begun_trials(plan) if trial.values != plan.start]
    draws = OptunaSearch(points_to_evaluate=[dict(plan.start), *others], seed=plan.params.seed + len(others))
    return ConcurrencyLimiter(draws, max_concurrent=at_once)


def _drawn(space: Mapping[str, Domain]) -> dict[str, Any]:
    """Returns the space in Ray's words."""
    drawn = {}
    for name, domain in space.items():
        if isinstance(domain, Choice):
            drawn[name] = ray.tune.choice(domain.values)
        elif domain.kind == "integer":
            drawn[name] = ray.tune.randint(int(domain.low), int(domain.high) + 1)
        else:
            draw = ray.tune.loguniform if domain.kind == "log_uniform" else ray.tune.uniform
            drawn[name] = draw(domain.low, domain.high)
    return drawn
