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

import ray.train
import ray.train.torch
from ray.train.v2.api.exceptions import WorkerGroupError

from pipeline.jobs.resources import ResourcesParams, connected
from pipeline.tracking.metrics import MetricsWriter
from pipeline.training.experiment import Job, run
from pipeline.training.loop import Validate

MISTAKES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a worker fails with by its parameters, data or code: it would only recur, unlike the loss of a worker."""


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
    """
    logging.getLogger("ray.train").setLevel(logging.WARNING)
    callbacks = [WriteMetrics(writer), *listeners]
    if resources.workers == 0:
        return _fit(job, validate, callbacks, ray.train.ScalingConfig(num_workers=0), resources.retries)
    with connected(resources, job.groups) as team:
        config = ray.train.ScalingConfig(
            num_workers=team.workers, use_gpu=bool(team.gpus), resources_per_worker=team.share()
        )
        return _fit(job, validate, callbacks, config, resources.retries)


def _fit(
    job: Job,
    validate: Validate | None,
    callbacks: list[ray.train.UserCallback],
    scaling: ray.train.ScalingConfig,
    retries: int,
) -> list[dict[str, float]]:
    is_local = scaling.num_workers == 0
    trainer = ray.train.torch.TorchTrainer(
        _work,  # type: ignore[arg-type]  # Ray's annotations are those of Train V1, here and below
        train_loop_config={"job": job, "validate": validate, "callbacks": callbacks if is_local else []},
        scaling_config=scaling,
        run_config=ray.train.RunConfig(  # type: ignore[call-arg]
            name=job.run_folder.name,
            storage_path=str(job.run_folder.parent / "ray"),
            logging_config=ray.train.LoggingConfig(log_level="WARNING"),
            callbacks=callbacks,  # type: ignore[arg-type]
        ),
    )
    try:
        return trainer.fit().return_value  # type: ignore[attr-defined]
    except SystemExit:
        if is_local:  # a search ends the thread of a trial so
            raise
        raise KeyboardInterrupt from None  # Ray has ended the workers after Ctrl-C
    except WorkerGroupError as error:
        failures = list(error.worker_failures.values())
        mistakes = [failure for failure in failures if isinstance(failure, MISTAKES)]
        if mistakes or retries == 0:
            raise (mistakes or failures)[0] from error
    kinds = ", ".join(sorted({type(failure).__name__ for failure in failures}))
    print(f"{job.name}: lost a worker ({kinds}), going on from the last epoch", file=sys.stderr)
    return _fit(job, validate, callbacks, scaling, retries - 1)


def _work(config: dict[str, Any]) -> list[dict[str, float]]:
    """Runs in each worker. In local mode Ray calls no callbacks, and refuses reports within a search: they go here."""
    logging.getLogger().setLevel(logging.WARNING)  # else Ray repeats each report, by a logger outside ray.train

    def report(metrics: dict[str, float]) -> None:
        if not config["callbacks"]:
            ray.train.report(metrics)
        for callback in config["callbacks"]:
            callback.after_report(None, [metrics], None)

    return run(config["job"], report, ray.train.torch.get_device(), config["validate"])
