"""What the tracking store holds: the other direction of ``store.py``."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking.address import SQLITE, masked, refuse_unusable, tracking_uri
from pipeline.tracking.runs import tracking_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PAGE = 1000
OUT = "dvc.out."


@dataclass(frozen=True)
class Recorded:
    """A run of a stage that ended well: name (``evaluate mdpr``), last metrics, DVC hashes of what it made."""

    name: str
    metrics: Mapping[str, float]
    outs: Mapping[str, str]


def open_client(uri: str) -> MlflowClient:
    """Returns a client of a store, which reports nothing to the makers of MLflow."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    return MlflowClient(uri)


def all_runs(client: MlflowClient, condition: str = "") -> Iterator[Run]:
    """Yields the runs that a store holds, in every experiment."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    token = None
    while True:
        page = client.search_runs(experiments, condition, max_results=PAGE, page_token=token)
        yield from page
        if not (token := page.token):
            return


def recorded_runs(stages: Collection[str]) -> list[Recorded]:
    """Returns the runs of these stages that ended well, in every experiment of the store, the newest first.

    Raises:
        ValueError: when the store is a database that is not there, or does not answer.
    """
    uri = tracking_uri(tracking_folder().parents[1])
    refuse_unusable(uri)
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).is_file():
        raise ValueError(f"no runs are recorded at {masked(uri)}: run the stages with tracking on first")
    try:
        ended_well = all_runs(open_client(uri), "attributes.status = 'FINISHED'")
        found = [run for run in ended_well if run.data.tags.get("stage") in stages]
    except Exception as error:  # MLflow's own, those of its database's driver, and those of its client of HTTP
        raise ValueError(f"{masked(uri)} can't be read: {masked(str(error))}") from None
    found.sort(key=lambda run: run.info.end_time, reverse=True)
    return [
        Recorded(
            run.info.run_name,
            run.data.metrics,
            {tag.removeprefix(OUT): md5 for tag, md5 in run.data.tags.items() if tag.startswith(OUT)},
        )
        for run in found
    ]
