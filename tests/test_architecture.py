"""The house rules that a machine can hold: who imports whom, and what importing does (nothing)."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

PROJECT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "stages")
VAGUE = {"utils", "common", "core", "helpers"}

IMPORT_ALL = """
import importlib, json, logging, os, random, sys, threading
from pathlib import Path

import numpy, torch

def state():
    return {
        "environment": dict(os.environ),
        "folder": sorted(str(path) for path in Path.cwd().rglob("*")),
        "threads": [thread.name for thread in threading.enumerate()],
        "loggers": [str(handler) for handler in logging.getLogger().handlers] + [logging.getLogger().level],
        "random": [hash(random.getstate()), str(numpy.random.get_state()), torch.get_rng_state().tolist()],
        "torch": [str(torch.get_default_dtype()), torch.get_num_threads()],
    }

before = state()
heavy = {}
for module in sys.argv[1:]:
    importlib.import_module(module)
    for name in ("ray", "mlflow", "dvc"):
        if name in sys.modules and name not in heavy:
            heavy[name] = module
after = state()
print(json.dumps({"changed": [key for key in before if before[key] != after[key]], "heavy": heavy}))
"""


def modules() -> list[str]:
    files = [file for package in PACKAGES for file in (PROJECT / package).rglob("*.py")]
    names = [".".join(file.relative_to(PROJECT).with_suffix("").parts) for file in files]
    return sorted(name.removesuffix(".__init__") for name in names)


def import_all(names: list[str], folder: Path) -> dict[str, object]:
    answer = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *names],
        check=False,
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_imports_follow_the_contracts() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        check=False,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_part_has_its_place_in_the_layers() -> None:
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {
        part.strip() for contract in contracts for layer in contract.get("layers", []) for part in layer.split("|")
    }
    there = {".".join(name.split(".")[:2]) for name in modules() if name.startswith("pipeline.")}
    assert there == layers - {"stages"}


def test_importing_any_module_changes_nothing_and_only_jobs_loads_ray(tmp_path: Path) -> None:
    jobs = [name for name in modules() if name.startswith("pipeline.jobs")]
    rest = [name for name in modules() if name not in jobs]
    assert import_all(rest, tmp_path) == {"changed": [], "heavy": {}}


@pytest.mark.parametrize("package", PACKAGES)
def test_init_files_are_empty(package: str) -> None:
    assert [file for file in (PROJECT / package).rglob("__init__.py") if file.read_text()] == []


def test_every_folder_says_what_is_in_it() -> None:
    folders = {part for name in modules() for part in name.split(".")}
    assert not folders & VAGUE


def test_every_shared_loss_has_a_test_and_a_user() -> None:
    graph = grimp.build_graph("pipeline")
    losses = [file.stem for file in (PROJECT / "pipeline" / "losses").glob("*.py") if file.stem != "__init__"]
    tests = [PROJECT / "tests" / "losses" / f"test_{name}.py" for name in losses]
    problems = [f"{file.relative_to(PROJECT)} is not there" for file in tests if not file.is_file()]
    for name in losses:
        users = graph.find_modules_that_directly_import(f"pipeline.losses.{name}")
        problems += [] if users else [f"nobody uses pipeline/losses/{name}.py"]
    assert not problems, problems
