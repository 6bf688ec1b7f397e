"""Training as a Ray Train job: the same work as ``pipeline.training.experiment.run``, on any number of workers.

Ray starts the workers, joins them by gloo or NCCL, restarts them after a failure and carries metrics to the controller.
Checkpoints are the loop's own (``pipeline.training.checkpoint``), in a run folder that all workers can reach: a
restarted job goes on from them, with Ray or without.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError
from ray.train.v2.api.exceptions import ControllerError, TrainingFailedError, WorkerGroupError

from pipeline.jobs.rendezvous import rendezvous
from pipeline.jobs.resources import ResourcesParams, Team, choose_team, connected
from pipeline.tracking.metrics import MetricsWriter
from pipeline.training.experiment import Job, run
from pipeline.training.loop import Validate
from pipeline.training.step import StepParams
from pipeline.training.stopping import STATUS, StoppedError, is_requested, on_sigterm

MISTAKES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, torch.OutOfMemoryError)
"""What a worker fails with by its parameters, data or code: it would only recur, unlike the loss of a worker."""

NOT_STARTED = (WorkerGroupStartupFailedError, WorkerGroupStartupTimeoutError)


class WriteMetrics(ray.train.UserCallback):
    """Writes the first worker's metrics; lives in the controller's process, so it holds nothing but the writer."""

    def __init__(self, writer: MetricsWriter) -> None:
        self.writer = writer

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        """Writes what the workers have just reported."""
        values = dict(metrics[0])
        self.writer.log(int(values.pop("epoch")), values)


def train(
    job: Job,
    resources: ResourcesParams,
    writer: MetricsWriter,
    *,
    validate: Validate | None = None,
    listeners: Sequence[ray.train.UserCallback] = (),
) -> list[dict[str, float]]:
    """Trains the job, or goes on with it, and returns the metrics of each epoch, those of ``validate`` among them.

    ``listeners`` hear of each epoch after the writer, in the controller's process.

    Raises:
        What a worker raised: a mistake at once, the loss of a worker when the retries are used up.
        StoppedError: after SIGTERM, once the step reached is saved.
    """
    logging.getLogger("ray.train").setLevel(logging.WARNING)
    callbacks = [WriteMetrics(writer), *listeners]
    if resources.workers == 0:
        with on_sigterm(job.run_folder):
            history = _fit(job, validate, callbacks, resources, ray.train.ScalingConfig(num_workers=0))
    else:
        # Ray sets handlers of its own as it starts: ours come later.
        with connected(resources, job.groups) as team, on_sigterm(job.run_folder):
            history = _fit_again(job, validate, callbacks, resources, team)
    if len(history) < job.experiment["training"]["epochs"]:
        raise StoppedError(f"{job.name}: stopped by SIGTERM and saved; the same command goes on from there")
    return history


def _fit_again(
    job: Job,
    validate: Validate | None,
    callbacks: list[ray.train.UserCallback],
    resources: ResourcesParams,
    team: Team,
) -> list[dict[str, float]]:
    """Fits until it is done or the retries are used up, each time with the team that there is room for then.

    Differs from Ray's own elastic teams: these take any number of workers, also one that cannot share the groups, and
    end a running epoch whenever there is room for more.
    """
    retries = resources.retries
    while True:
        try:
            scaling = ray.train.ScalingConfig(
                num_workers=team.workers, use_gpu=bool(team.gpus), resources_per_worker=team.share()
            )
            return _fit(job, validate, callbacks, resources, scaling)
        except SystemExit:  # what Ray makes of Ctrl-C once it has ended the workers, and of a second SIGTERM
            if is_requested(job.run_folder):
                sys.exit(STATUS)
            raise KeyboardInterrupt from None
        except TrainingFailedError as error:
            failures = _failures(error)
            mistakes = [failure for failure in failures if isinstance(failure, MISTAKES)]
            is_waiting = isinstance(failures[0], WorkerGroupStartupTimeoutError)
            if mistakes or (retries == 0 and not is_waiting):
                raise (mistakes or failures)[0] from error
        if not is_waiting:
            retries -= 1
            kinds = ", ".join(sorted({type(failure).__name__ for failure in failures}))
            print(f"{job.name}: lost a worker ({kinds}), going on from the last epoch", file=sys.stderr)
        before, team = team, choose_team(resources, job.groups, ray.cluster_resources())
        if team != before:
            print(f"{job.name}: {team.workers} workers instead of {before.workers}", file=sys.stderr)
        elif is_waiting:
            print(f"{job.name}: still waiting for room for {team.workers} workers", file=sys.stderr)


def _failures(error: TrainingFailedError) -> list[Exception]:
    """Returns what the workers failed with, or why they did not start.

    Raises:
        The error itself, when it is one of Ray's own.
    """
    if isinstance(error, WorkerGroupError):
        return list(error.worker_failures.values())
    if isinstance(error, ControllerError) and isinstance(error.controller_failure, NOT_STARTED):
        return [error.controller_failure]
    raise error


def _fit(
    job: Job,
    validate: Validate | None,
    callbacks: list[ray.train.UserCallback],
    resources: ResourcesParams,
    scaling: ray.train.ScalingConfig,
) -> list[dict[str, float]]:
    is_local = scaling.num_workers == 0
    trainer = ray.train.torch.TorchTrainer(
        _work,  # type: ignore[arg-type]  # Ray's annotations are those of Train V1, here and below
        train_loop_config={
            "job": job,
            "validate": validate,
            "callbacks": callbacks if is_local else [],
            "step": StepParams(**{name: getattr(resources, name) for name in StepParams.model_fields}),
        },
        scaling_config=scaling,
        torch_config=None if is_local else rendezvous(job.run_folder),
        run_config=ray.train.RunConfig(  # type: ignore[call-arg]
            name=job.run_folder.name,
            storage_path=str(job.run_folder.parent / "ray"),
            logging_config=ray.train.LoggingConfig(log_level="WARNING"),
            # Else a team waits for ever for a machine that is gone.
            failure_config=ray.train.FailureConfig(controller_failure_limit=0),  # type: ignore[call-arg]
            callbacks=callbacks,  # type: ignore[arg-type]
        ),
    )
    return trainer.fit().return_value  # type: ignore[attr-defined]


def _work(config: dict[str, Any]) -> list[dict[str, float]]:
    """Runs in each worker. In local mode Ray calls no callbacks, and refuses reports within a search: they go here."""
    logging.getLogger().setLevel(logging.WARNING)  # else Ray repeats each report, by a logger outside ray.train

    def report(metrics: dict[str, float]) -> None:
        if not config["callbacks"]:
            ray.train.report(metrics)
        for callback in config["callbacks"]:
            callback.after_report(None, [metrics], None)

    return run(config["job"], report, ray.train.torch.get_device(), config["validate"], step=config["step"])
