"""Nothing phones home, no file that is opened runs code, and the cluster's files ask for a token."""

import configparser
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from pipeline.jobs import resources
from pipeline.tracking import lookup, old_runs, recorder
from pipeline.training import checkpoint
from tests.training.toy import Toy

ROOT = Path(__file__).parents[1]
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1"}


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_a_checkpoint_whose_trainer_carries_code_is_not_restored_and_it_does_not_run(tmp_path):
    method = Toy(num_classes=6, groups=2, seed=0)
    checkpoint.save_epoch(tmp_path / "run", 1, method, {"trap": Trap(tmp_path / "sprung")}, {})
    found = checkpoint.latest(tmp_path / "run")  # its hashes fit
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        found.restore(method)
    assert not (tmp_path / "sprung").exists()


def test_nothing_of_ours_unpickles_by_other_means():
    risky = (
        "pickle.load",
        "weights_only=False",
        "allow_pickle=True",
        "joblib",
        "yaml.unsafe",
        "yaml.Loader",
        "read_pickle",
    )
    for file in [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]:
        text = file.read_text()
        assert [word for word in risky if word in text] == [], file
        assert text.count("torch.load(") == text.count("weights_only=True"), file


def test_dvc_reports_nothing_and_asks_for_no_updates_in_this_project():
    config = configparser.ConfigParser()
    config.read_string("\n".join(line.strip() for line in (ROOT / ".dvc/config").read_text().splitlines()))
    assert config["core"]["analytics"] == config["core"]["check_update"] == "false"


def test_ray_is_started_without_usage_statistics():
    assert resources.SETTINGS["RAY_USAGE_STATS_ENABLED"] == "0"


def test_the_recorder_turns_off_the_telemetry_of_mlflow(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    monkeypatch.setattr(sys, "argv", ["recorder"])
    recorder.main()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_so_does_whoever_reads_what_was_recorded(monkeypatch):
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=str))
    lookup.open_client("sqlite:///mlflow.db")
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert "MlflowClient(" not in Path(old_runs.__file__).read_text()


def test_the_environment_of_a_cluster_reports_nothing_and_asks_for_the_token():
    line = ". cluster/environment.sh && env -0"
    told = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, check=True
    )
    seen = dict(one.split("=", 1) for one in told.stdout.decode().split("\0") if one)
    assert (
        seen.items()
        >= (QUIET | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/shared/reid/.ray_auth_token"}).items()
    )


def test_the_token_is_never_committed():
    assert subprocess.run(["git", "check-ignore", "-q", ".ray_auth_token"], cwd=ROOT, check=False).returncode == 0


def test_the_cluster_files_ask_for_a_token_and_open_the_dashboard_to_one_address():
    launcher = yaml.safe_load((ROOT / "cluster/launcher.yaml").read_text())
    (head,) = [line for line in launcher["head_start_ray_commands"] if "--head" in line]
    assert "--dashboard-host=$REID_HEAD" in head
    assert "environment.sh" in launcher["setup_commands"][0]
    job, _ = yaml.safe_load_all((ROOT / "cluster/rayjob.yaml").read_text())
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    for pods in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        (container,) = pods["template"]["spec"]["containers"]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
