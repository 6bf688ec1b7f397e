"""make setup, with a Python that only pretends to install."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = """#!/bin/sh
case "$*" in
"-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "$0" .venv/bin/dvc ;;
"-m pip "*)
    [ ! -e .venv/half-installed ] || { echo "pip can't list what is there"; exit 1; }
    touch .venv/half-installed
    [ ! -e stop ] || exit 1
    mv .venv/half-installed .venv/installed ;;
esac
"""


@pytest.fixture
def project(tmp_path):
    """A copy of what setup needs, and the pretending Python."""
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def set_up(project):
    command = ["make", "setup", "PYTHON=./python"]
    return subprocess.run(command, check=False, cwd=project, capture_output=True, text=True)


def test_an_installation_that_was_stopped_is_begun_anew(project):
    (project / "stop").touch()
    assert set_up(project).returncode != 0
    assert not (project / ".venv" / ".ready").exists()
    (project / "stop").unlink()
    again = set_up(project)
    assert again.returncode == 0, again.stderr
    assert (project / ".venv" / "installed").exists()


def test_a_whole_installation_is_kept_when_versions_change(project):
    assert set_up(project).returncode == 0
    (project / ".venv" / "mine").touch()
    (project / ".venv" / ".ready").unlink()
    assert set_up(project).returncode == 0
    assert (project / ".venv" / "mine").exists()
