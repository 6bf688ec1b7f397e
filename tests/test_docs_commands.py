"""The commands of docs/reproducibility.md work as they stand there, in a clone at tiny size."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides

from pipeline import config, experiments

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "reproducibility.md"


def commands():
    """Returns the lines that begin with a dollar in the page's console blocks, in their order."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def git(folder, *arguments):
    subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path):
    """A function that runs a command in a clone whose params.yaml is tiny, and fails as the command does."""
    folder = tmp_path / "clone"
    git(PROJECT, "clone", "--quiet", PROJECT, folder)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    who = {f"GIT_{role}_{what}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **who, "PATH": path, "PYTHONPATH": str(folder)}

    def run(command):
        done = subprocess.run(
            ["bash", "-c", command], check=False, cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"

    run("python .ci/tiny.py")
    run("git rm --quiet --cached dvc.lock && rm dvc.lock && git commit --quiet --all --message tiny")
    return run


@pytest.mark.slow
def test_every_command_of_the_page_runs_in_its_order(clone):
    for command in commands():
        clone(command)


def test_the_page_shows_the_commands_that_compare_runs():
    shown = "\n".join(commands())
    for command in ("dvc exp run -n", "dvc exp show", "dvc metrics diff", "dvc plots show", "dvc plots diff"):
        assert command in shown


@pytest.mark.parametrize(
    "number", ["baseline training.epochs 3", "mdpr settings.margin 0.5", "mdpr training.epochs 20"]
)
def test_what_the_page_overrides_moves_one_experiment_alone(tmp_path, number):
    """tests/test_overrides.py does so for every number, by DVC's function alone; this one writes the file too."""
    name, key, value = number.split()
    file = tmp_path / "params.yaml"
    shutil.copy(PROJECT / "params.yaml", file)
    before = blocks(file)
    apply_overrides(file, [f"++experiments.{name}.change.{key}={value}"])
    after = blocks(file)
    assert [moved for moved in before if before[moved] != after[moved]] == [name]
    assert config.block(after[name], *key.split(".")) == float(value)


def blocks(file):
    tree = config.load(file)
    return {name: experiments.resolve_experiment(tree, name) for name in tree["experiments"] | tree["students"]}
