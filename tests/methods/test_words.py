"""Words about methods are not code: nothing that trains imports them, and DVC looks at none of them."""

import importlib
from pathlib import Path

import grimp
import pytest
from dvc.repo import Repo

from pipeline.methods.registry import METHODS

ROOT = Path(__file__).parents[2]
FOLDERS = sorted({path.partition(":")[0].rpartition(".")[0] for path in METHODS.values()})


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("pipeline", "stages")


@pytest.mark.parametrize(
    "root",
    ["pipeline.methods.registry", "stages.train", *(path.partition(":")[0] for path in METHODS.values())],
)
def test_nothing_that_trains_imports_words(graph, root):
    closure = {root} | graph.find_upstream_modules(root)
    found = sorted(name for name in closure if name.endswith((".about", ".words")))
    assert not found, f"{root} imports {', '.join(found)}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_words_of_a_folder_are_of_its_methods(folder):
    named = {name for name, path in METHODS.items() if path.startswith(f"{folder}.")}
    assert set(importlib.import_module(f"{folder}.about").ABOUT) == named


def test_dvc_looks_at_no_words():
    ignored = Repo(str(ROOT)).dvcignore
    files = [f"{folder.replace('.', '/')}/about.py" for folder in FOLDERS]
    assert all((ROOT / file).is_file() for file in files)
    assert [file for file in files if not ignored.is_ignored_file(str(ROOT / file))] == []
    assert not ignored.is_ignored_file(str(ROOT / "pipeline/methods/mdpr/method.py"))
