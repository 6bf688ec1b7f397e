"""Executions of the pipeline, as recorded in MLflow, that later ones have superseded; and their removal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from pipeline.tracking.address import SQLITE
from pipeline.tracking.lookup import OUT, all_runs, open_client

if TYPE_CHECKING:
    from mlflow.entities import Run

RUNS_AT_ONCE = 500
"""``mlflow gc`` takes its runs in one argument, which Linux lets have 128 KiB: some 4,000 of them."""


@dataclass(frozen=True)
class Execution:
    """One execution of the pipeline: its run and those below it, and the folders with their artifacts."""

    name: str
    runs: Sequence[str]
    artifacts: Sequence[Path]


def superseded(database: Path, kept_runs: Collection[str], kept_hashes: Collection[str]) -> list[Execution]:
    """Returns the executions that are over, and whose stages have all run again since: well, where they had ended well.

    One that made what is in use stays: a run of ``kept_runs`` (ids), or something with one of DVC's ``kept_hashes``.
    """
    found = {run.info.run_id: run for run in all_runs(open_client(f"{SQLITE}{database.absolute()}"))}
    families: dict[str, list[Run]] = {}
    for run in found.values():
        families.setdefault(_oldest_ancestor(run, found), []).append(run)
    newest = _newest(found.values())
    old = []
    for ancestor, family in families.items():
        is_over = all(run.info.status not in ("RUNNING", "SCHEDULED") for run in family)
        is_used = any(_is_used(run, kept_runs, kept_hashes) for run in family)
        if "pipeline" in found[ancestor].data.tags and is_over and not is_used and not newest & {*_ids(family)}:
            places = [Path(urlparse(run.info.artifact_uri).path).parent for run in family]
            there = [place for place in places if place.is_dir()]
            old.append(Execution(found[ancestor].info.run_name, _ids(family), there))
    return sorted(old, key=lambda execution: execution.name)


def remove(database: Path, executions: Sequence[Execution]) -> None:
    """Removes executions with their artifacts from a database for good, by ``mlflow gc``."""
    uri = f"{SQLITE}{database.absolute()}"
    client, runs = open_client(uri), [run for execution in executions for run in execution.runs]
    command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", uri, "--run-ids"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    for first in range(0, len(runs), RUNS_AT_ONCE):
        some = runs[first : first + RUNS_AT_ONCE]
        for run in some:
            client.delete_run(run)
        subprocess.run([*command, ",".join(some)], check=True, env=environment, stdout=subprocess.DEVNULL)


def _ids(runs: Sequence[Run]) -> list[str]:
    return [run.info.run_id for run in runs]


def _oldest_ancestor(run: Run, found: dict[str, Run]) -> str:
    while (parent := run.data.tags.get("mlflow.parentRunId")) in found:
        run = found[parent]
    return run.info.run_id


def _newest(runs: Collection[Run]) -> set[str]:
    """Returns the newest run of each stage, by its name, and the newest of those that ended well."""
    newest: dict[tuple[str, str, bool], Run] = {}
    for run in runs:
        if run.data.tags.get("stage") in (None, "trial"):
            continue
        for well in {False, run.info.status == "FINISHED"}:
            key = (run.info.experiment_id, run.info.run_name, well)
            if key not in newest or run.info.start_time > newest[key].info.start_time:
                newest[key] = run
    return {run.info.run_id for run in newest.values()}


def _is_used(run: Run, kept_runs: Collection[str], kept_hashes: Collection[str]) -> bool:
    made = {md5 for tag, md5 in run.data.tags.items() if tag.startswith(OUT)}
    return run.info.run_id in kept_runs or bool(made & {*kept_hashes})
