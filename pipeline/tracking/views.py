"""Where MLflow's pages show what people compare: ``python -m pipeline.tracking.views PORT`` prints links to it.

A view is kept in the experiment that it shows, as MLflow keeps those that people share by its own button.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pipeline.tracking.address import SQLITE
from pipeline.tracking.lookup import open_client
from pipeline.tracking.runs import tracking_folder

if TYPE_CHECKING:
    from mlflow.entities import Experiment

VIEW = "scores"
FILTER = "tags.stage = 'evaluate'"
ORDER = "metrics.`mAP`"
COLUMNS = (
    *("tags.`experiment`", "tags.`data`", "tags.`seed`", ORDER, "metrics.`rank1`", "metrics.`mINP`"),
    *("metrics.`all-search/mAP`", "metrics.`all-search/rank1`"),
)
"""As MLflow's pages name the columns of their list of runs."""
DESCRIPTION = """\
Each execution of the pipeline is a run; the runs of its stages lie within it. What was trained is scored by the stage \
`evaluate`: search `tags.stage = 'evaluate'`, and group by the tag `experiment` for means over seeds. \
docs/tracking.md has more views."""


def experiment_tags() -> dict[str, str]:
    """Returns what an experiment bears from its beginning: its description, its kind, and the view of its scores."""
    view = {
        "searchFilter": FILTER,
        "orderByKey": ORDER,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": COLUMNS,
        "viewMaximized": True,
    }
    return {
        "mlflow.note.content": DESCRIPTION,
        "mlflow.experimentKind": "custom_model_development",  # else its pages open on those for language models
        f"mlflow.sharedViewState.{VIEW}": json.dumps(view),
    }


def link(server: str, experiment: str) -> str:
    """Returns the address of the view of an experiment's scores."""
    shown = {"workflowType": "machine_learning", "viewStateShareKey": VIEW}
    return f"{server}/#/experiments/{experiment}/runs?{urlencode(shown)}"


def links(database: Path, server: str) -> dict[str, str]:
    """Returns the link to each experiment of a database, by name; those of older versions are given the view."""
    client = open_client(f"{SQLITE}{database}")
    found: list[Experiment] = [one for one in client.search_experiments() if one.name != "Default"]
    for experiment in found:
        for key, value in experiment_tags().items():
            if key not in experiment.tags:
                client.set_experiment_tag(experiment.experiment_id, key, value)
    return {one.name: link(server, one.experiment_id) for one in sorted(found, key=lambda one: one.name)}


def main() -> None:
    """Prints the links to what this project has recorded."""
    database = tracking_folder().parents[1] / "mlflow.db"
    there = links(database, f"http://127.0.0.1:{sys.argv[1]}") if database.is_file() else {}
    for name, address in there.items():
        print(f"scores of {name}: {address}", flush=True)
    if not there:
        print("nothing is recorded yet: make repro")


if __name__ == "__main__":
    main()
