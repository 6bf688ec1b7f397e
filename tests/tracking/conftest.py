import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

LOCK = """
schema: '2.0'
stages:
  prepare:
    outs:
    - {path: data/people, hash: md5, md5: 1111111111111111111111111111111a.dir}
  train@mdpr:
    outs:
    - {path: artifacts/mdpr, hash: md5, md5: 2222222222222222222222222222222b.dir}
"""

# Runs each of its arguments as a stage, as `dvc repro` would.
DVC = """
import subprocess, sys
for stage in sys.argv[2:]:
    subprocess.run([sys.executable, "-c", stage])
"""

Repro = Callable[..., "subprocess.CompletedProcess[str]"]


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="session")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Path, Repro]]:
    """Makes a project folder and a function that runs stages (Python source) in it under a process named dvc."""

    def make() -> tuple[Path, Repro]:
        root = tmp_path_factory.mktemp("project")
        (root / "dvc.lock").write_text(LOCK)
        (root / "dvc").write_text(DVC)

        def repro(*stages: str, **variables: str) -> subprocess.CompletedProcess[str]:
            kept = {name: value for name, value in os.environ.items() if name != "REID_TRACKING"}
            environment = {**kept, "PYTHONPATH": str(PROJECT), "DVC_ROOT": str(root), **variables}
            command = [sys.executable, str(root / "dvc"), "repro", *stages]
            return _run(command, root, environment)

        return root, repro

    return make


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database that two processes made at once; to be copied, because making one takes seconds."""
    folder = tmp_path_factory.mktemp("database")
    source = f"from pipeline.tracking.store import Store; Store('sqlite:///{folder}/mlflow.db', 'reid')"
    command = [sys.executable, "-c", source]
    makers = [subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [maker.communicate(timeout=120)[1] for maker in makers]
    assert [maker.returncode for maker in makers] == [0, 0], errors
    return folder / "mlflow.db"


@pytest.fixture(scope="session")
def send() -> Callable[..., str]:
    """Sends what waits in a project, by hand; returns what is printed."""

    def send(root: Path, **variables: str) -> str:
        command = [sys.executable, "-m", "pipeline.tracking.recorder"]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "DVC_ROOT": str(root), **variables}
        answer = _run(command, root, environment)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    return send
