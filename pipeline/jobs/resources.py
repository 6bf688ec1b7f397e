"""Where a Ray job runs: the cluster it joins or the local instance it starts, and what each worker gets."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.config import parse
from pipeline.experiments import resolve_resources
from pipeline.jobs.address import check_answers, watched
from pipeline.jobs.private import ensure_private_token, session_folder
from pipeline.training.groups import owned_groups
from pipeline.training.step import PLAIN, StepParams
from pipeline.training.workers import Workers

OBJECT_STORE_BYTES = 150 * 2**20
"""Enough: images come from a memory-mapped store, and gradients go by gloo or NCCL, not through Ray's objects."""

LATE_SECONDS = 25.0
"""After how long it is said that joining a cluster takes."""

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_COLOR_PREFIX": "0",
}
"""Environment of Ray, private, quick to start and quiet, where the user's own says nothing else."""


class ResourcesParams(StepParams):
    """A block ``resources.<experiment>`` of params.yaml; no stage depends on it: on GPUs of one kind, or on CPUs, it
    changes no result.

    ``workers``: processes that share the groups of a batch; 0 trains in the stage's own process, ``auto`` takes as many
    as there are GPUs, as far as they share the groups evenly and there are cores; ``[fewest, most]`` takes as many as
    there is room for and as share the groups evenly, and after the loss of a machine goes on with what is left.
    ``cpus_per_worker`` counts cores, ``retries`` the times that a job goes on from its last checkpoint after losing a
    worker's process.
    The rest says how each of them computes a step.
    """

    workers: int | Literal["auto"] | Annotated[list[int], Field(min_length=2, max_length=2)]
    cpus_per_worker: Annotated[int, Field(ge=1)]
    retries: Annotated[int, Field(ge=0)]


ONE_WORKER = ResourcesParams(workers=1, cpus_per_worker=1, retries=0, **dict(PLAIN))
"""For work in tasks, which take what there is."""


def resources_of(tree: Mapping[str, Any], name: str) -> ResourcesParams:
    """Returns how an experiment is run: the block ``default`` of ``resources``, and what is said of it alone."""
    return parse(ResourcesParams, resolve_resources(tree, name), f"resources of {name}")


@dataclass(frozen=True)
class Team:
    """How many workers there are, and what each of them gets."""

    workers: int
    cpus: int
    gpus: int

    def share(self) -> dict[str, float]:
        """Returns what a worker gets, in Ray's words."""
        return {"CPU": self.cpus, **({"GPU": self.gpus} if self.gpus else {})}


@contextmanager
def connected(params: ResourcesParams, groups: int, *, shows_output: bool = True) -> Iterator[Team]:
    """Joins the cluster of ``RAY_ADDRESS``, or starts a local instance and ends it, and yields the team for a job.

    A local instance listens on loopback only. It has a dashboard, since Ray Train asks it whether its controller still
    lives, and is told its address: where two instances run on a machine Ray finds neither. It may start more workers
    than there are cores, which then take turns. ``shows_output``: whether what workers print is shown here.

    Raises:
        ValueError: when nobody answers at ``RAY_ADDRESS``, the cluster there can never hold the workers, or others can
            read the token or the sessions.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if address := os.environ.get("RAY_ADDRESS"):
        check_answers(address)
    import ray

    started = not ray.is_initialized()
    if started and address:
        _join(address, shows_output)
    elif started:
        asked = max(allowed_counts(params.workers, groups))
        port = _free_port()
        os.environ["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{port}"
        ensure_private_token()
        with _on_loopback():
            ray.init(
                _temp_dir=str(session_folder()),
                address="local",
                num_cpus=max(asked * params.cpus_per_worker, os.cpu_count() or 1),
                object_store_memory=OBJECT_STORE_BYTES,
                dashboard_host="127.0.0.1",
                dashboard_port=port,
                include_dashboard=True,
                logging_level=logging.WARNING,
                log_to_driver=shows_output,
            )
    try:
        with nullcontext() if ray.util.client.ray.is_connected() else watched(ray.get_runtime_context().gcs_address):
            yield choose_team(params, groups, ray.cluster_resources())
    finally:
        if started:
            ray.shutdown()
            os.environ.pop("RAY_API_SERVER_ADDRESS", None)


def _join(address: str, shows_output: bool) -> None:
    """Ensures that Ray is that of an address, and says which; says too when that takes long, as from outside of it.

    Raises:
        ValueError: when it can't be, with what Ray says: there is none, it is of another version, or wants its token.
    """
    import ray

    said = f"Ray at RAY_ADDRESS {address} answers and has not let this process join yet: is this machine a node of it?"
    late = threading.Timer(LATE_SECONDS, print, [said], {"file": sys.stderr, "flush": True})
    late.start()
    try:
        ray.init(address=address, logging_level=logging.WARNING, log_to_driver=shows_output)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ValueError(f"Ray at RAY_ADDRESS {address} can't be joined: {str(error).strip()}") from error
    finally:
        late.cancel()
    there, machines = ray.cluster_resources(), sum(node["Alive"] for node in ray.nodes())
    offers = f"{machines} machines, {there.get('CPU', 0):g} cores, {there.get('GPU', 0):g} GPUs"
    print(f"Ray cluster at {address}: {offers}", file=sys.stderr, flush=True)


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Within it Ray starts instances at 127.0.0.1 and nowhere else, as it does on Windows and macOS.

    On Linux it would listen on every interface, and it has no public way to say otherwise.
    """
    from ray._private import ray_constants

    usual = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = usual


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def allowed_counts(workers: int | Literal["auto"] | list[int], groups: int) -> list[int]:
    """Returns the counts of workers that a block of ``resources`` allows for so many groups, ascending.

    Raises:
        ValueError: when none of them can share the groups evenly.
    """
    if isinstance(workers, int):
        owned_groups(groups, Workers(0, workers))
        return [workers]
    even = [count for count in range(1, groups + 1) if groups % count == 0]
    if workers == "auto":
        return even
    fewest, most = workers
    allowed = [count for count in even if fewest <= count <= most]
    if not allowed:
        raise ValueError(
            f"no number of workers from {fewest} to {most} shares {groups} groups evenly: name bounds with one of "
            f"{', '.join(map(str, even))} between them"
        )
    return allowed


def choose_team(params: ResourcesParams, groups: int, there: Mapping[str, float]) -> Team:
    """Returns the team for a job of ``groups`` groups among the CPUs and GPUs that are there.

    Each worker gets a GPU where there is one for every worker; otherwise all run on CPUs, which is said. There are as
    many workers as allowed: where there are GPUs as many as these, else as many as the CPUs suffice for.

    Raises:
        ValueError: when there are too few CPUs, or the workers cannot share the groups evenly.
    """
    cpus, gpus = int(there.get("CPU", 0)), int(there.get("GPU", 0))
    allowed = allowed_counts(params.workers, groups)
    if params.workers == "auto":
        allowed = [count for count in allowed if count <= max(gpus, 1)]
    fitting = [count for count in allowed if count * params.cpus_per_worker <= cpus]
    if not fitting:
        needed = allowed[0] * params.cpus_per_worker
        raise ValueError(
            f"{allowed[0]} workers of {params.cpus_per_worker} CPUs need {needed}, and there are {cpus}: lower the "
            "experiment's block of `resources` in params.yaml (results do not change) or add nodes"
        )
    workers = max([count for count in fitting if count <= gpus] or fitting)
    if 0 < gpus < workers:
        print(f"{gpus} GPUs for {workers} workers: running on CPUs", file=sys.stderr)
    return Team(workers, params.cpus_per_worker, 1 if gpus >= workers else 0)
