"""Copies of the project at tiny size, as .ci/run makes one, and what is compared between two of them."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
COMPARED = ("train/*/model.safetensors", "train/*/method.safetensors", "evaluate/*/embeddings.npy",
            "evaluate/*/metrics.json", "evaluate/*/cmc.csv")  # fmt: skip


def environment(checkout: Path, **more: str) -> dict[str, str]:
    """Returns what a command in a checkout sees: its code, its programs, one thread, and nothing of Ray or MLflow."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "MLFLOW_", "REID_", "DVC_"))}
    path = f"{checkout / '.venv' / 'bin'}:{os.environ['PATH']}"
    code = os.pathsep.join([str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])])
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1"}
    patient = {"RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300"}
    return kept | quiet | patient | {"PATH": path, "PYTHONPATH": code, "OMP_NUM_THREADS": "1"} | more


def make_checkout(folder: Path) -> Path:
    """Writes the files that git knows, as they are now, to a folder, and lays ``.ci/tiny.yaml`` over params.yaml.

    The baseline gets two workers there, as MDPR has them.
    """
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    run(folder, "dvc", "config", "--local", "core.no_scm", "true")
    run(folder, "python", ".ci/tiny.py")
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["resources"]["baseline"] = params["resources"]["mdpr"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return folder


def run(checkout: Path, *command: str, **more: str) -> str:
    """Returns what a command prints that runs in a checkout."""
    seen = environment(checkout, **more)
    told = subprocess.run(command, cwd=checkout, env=seen, capture_output=True, text=True, check=False)
    assert told.returncode == 0, f"{' '.join(command)}\n{told.stdout[-4000:]}\n{told.stderr[-4000:]}"
    return told.stdout


def results(checkout: Path) -> dict[str, str]:
    """Returns the SHA-256 of weights, embeddings and metrics, by their places."""
    artifacts = checkout / "artifacts"
    files = sorted(file for pattern in COMPARED for file in artifacts.glob(pattern))
    return {str(file.relative_to(artifacts)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
