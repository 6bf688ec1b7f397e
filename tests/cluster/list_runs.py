"""Prints the runs of the tracking server of ``MLFLOW_TRACKING_URI`` as JSON, for who cannot reach it."""

import json

from mlflow import MlflowClient

if __name__ == "__main__":
    client = MlflowClient()
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    told = [
        {
            "id": run.info.run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "parent": run.data.tags.get("mlflow.parentRunId"),
            "key": run.data.tags.get("pipeline"),
            "metrics": run.data.metrics,
        }
        for run in runs
    ]
    print(json.dumps(told))
