from pathlib import Path

import mlflow


def test_two_processes_may_create_the_store_at_once(database: Path) -> None:
    experiments = mlflow.MlflowClient(f"sqlite:///{database}").search_experiments()
    assert [experiment.name for experiment in experiments if experiment.name != "Default"] == ["reid"]
