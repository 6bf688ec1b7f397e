"""Where a Ray job runs: the cluster it joins or the local instance it starts, and what each worker gets."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.config import Record

OBJECT_STORE_BYTES = 150 * 2**20
"""Enough: images come from a memory-mapped store and gradients go by gloo or NCCL, not through Ray's objects."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_COLOR_PREFIX": "0",
}


class ResourcesParams(Record):
    """A block ``resources.<experiment>`` of params.yaml; no stage depends on it, since it changes no result.

    ``workers`` 0 trains in the stage's own process. ``cpus_per_worker`` counts cores, ``retries`` the times that a
    job goes on from its last checkpoint after losing a worker.
    """

    workers: int
    cpus_per_worker: int
    retries: int


@dataclass(frozen=True)
class Share:
    """What one worker gets."""

    cpus: int
    gpus: int

    def as_ray(self) -> dict[str, float]:
        """Returns it in Ray's words."""
        return {"CPU": self.cpus, **({"GPU": self.gpus} if self.gpus else {})}


@contextmanager
def connected(workers: int, cpus_per_worker: int) -> Iterator[Share]:
    """Joins the cluster of ``RAY_ADDRESS``, or starts a local instance and ends it, and yields a worker's share.

    A local instance may start more workers than there are cores (they then take turns). A GPU each is asked for where
    the cluster has enough of them, otherwise the job runs on CPUs and says so.

    Raises:
        ValueError: when a joined cluster can never hold the workers.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    address = os.environ.get("RAY_ADDRESS")
    started = not ray.is_initialized()
    if started and address:
        ray.init(address=address, log_to_driver=True)
    elif started:
        ray.init(
            address="local",
            num_cpus=max(workers * cpus_per_worker, os.cpu_count() or 1),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=True,
        )
    try:
        yield _share(workers, cpus_per_worker, ray.cluster_resources())
    finally:
        if started:
            ray.shutdown()


def _share(workers: int, cpus: int, there: dict[str, float]) -> Share:
    if there.get("CPU", 0) < workers * cpus:
        raise ValueError(
            f"{workers} workers of {cpus} CPUs need {workers * cpus} CPUs, the cluster has {there.get('CPU', 0):g}; "
            "lower resources.<experiment>.workers in params.yaml (results do not change) or add nodes"
        )
    gpus = int(there.get("GPU", 0))
    if 0 < gpus < workers:
        print(f"the cluster has {gpus} GPUs for {workers} workers: running on CPUs", file=sys.stderr)
    return Share(cpus, 1 if gpus >= workers else 0)
