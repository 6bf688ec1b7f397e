"""Commands that run beside each other, as tasks of one Ray job: one core each, or one GPU each where there are some."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipeline.jobs.resources import ONE_WORKER, connected

C_LIBRARY = ctypes.CDLL(None)
RETRIES = 3  # of a task whose node is lost
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Task:
    """Commands of this project (``words`` of each) that run one after the other, until one fails.

    ``log`` is where what they print goes; ``chain`` names tasks that never run at the same time, first things first.
    """

    name: str
    chain: str
    commands: Sequence[Sequence[str]]
    log: Path


@dataclass(frozen=True)
class Outcome:
    """How a task ended: ``trouble`` names the command that failed, with its last lines, or nothing; in ``seconds``."""

    trouble: str
    seconds: float


def run_side_by_side(tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
    """Yields each task when it has ended.

    A single chain runs in no Ray job, and with all cores. Else as many run at a time as there are cores, or GPUs, on
    this machine, or on the cluster of ``RAY_ADDRESS``, whose nodes all see this folder at its path. The tasks of a
    chain stay on one node while it lives.
    """
    chains: dict[str, list[Task]] = {}
    for task in tasks:
        chains.setdefault(task.chain, []).append(task)
    if len(chains) > 1:
        yield from _over_ray(list(chains.values()))
    else:
        for task in tasks:
            yield task, run_commands(task, Path.cwd(), os.environ)


def _over_ray(chains: list[list[Task]]) -> Iterator[tuple[Task, Outcome]]:
    with connected(ONE_WORKER, 1):
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = ray.cluster_resources()
        options: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1 if there.get("GPU") else 0, "max_retries": RETRIES}
        run = ray.remote(**options)(_run_here)
        running = {run.remote(chain[0], Path.cwd()): chain for chain in chains}
        while running:
            (ended,), _ = ray.wait(list(running))
            task, *rest = running.pop(ended)
            outcome, node = ray.get(ended)
            if rest:
                strategy = NodeAffinitySchedulingStrategy(node, soft=True)
                running[run.options(scheduling_strategy=strategy).remote(rest[0], Path.cwd())] = rest
            yield task, outcome


def _run_here(task: Task, root: Path) -> tuple[Outcome, str]:
    """Returns how a task ended on this node, and the node."""
    import ray

    return run_commands(task, root, os.environ | ONE_THREAD), ray.get_runtime_context().get_node_id()


def run_commands(task: Task, root: Path, environment: Mapping[str, str]) -> Outcome:
    """Runs each command in a process of its own, so that its code is that of its method alone; see ``Task``."""
    begun, file = time.monotonic(), root / task.log
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as log:
        for words in task.commands:
            if status := _run(words, root, environment, log):
                last = "\n  ".join(file.read_text().splitlines()[-3:])
                trouble = f"reid {' '.join(words)} ended with status {status} ({task.log}):\n  {last}"
                return Outcome(trouble, time.monotonic() - begun)
    return Outcome("", time.monotonic() - begun)


def _run(words: Sequence[str], root: Path, environment: Mapping[str, str], log: IO[str]) -> int:
    """Returns the status with which a command ends; one that is interrupted saves the step that it has reached."""
    command = [sys.executable, "-m", "stages", *words]
    own = {name: value for name, value in environment.items() if name != "RAY_ADDRESS"}
    ends: Any = {"preexec_fn": _end_with_parent}
    with subprocess.Popen(command, cwd=root, env=own, stdout=log, stderr=log, **ends) as child:
        try:
            return child.wait()
        except BaseException:
            child.terminate()
            raise


def _end_with_parent() -> None:
    """Asks Linux for SIGTERM when the process that starts this one is gone, however it went."""
    if sys.platform == "linux":
        C_LIBRARY.prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG
