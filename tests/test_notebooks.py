"""Each notebook is run top to bottom on a tiny study: two epochs on a dozen generated people."""

import json
import runpy
from pathlib import Path

import pytest
import yaml

from pipeline.config import load
from stages.__main__ import main

PROJECT = Path(__file__).parents[1]
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))


def cells(notebook):
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A project folder in which baseline was trained, scored and put into tables."""
    folder = tmp_path_factory.mktemp("study")
    tree = load(PROJECT / "params.yaml")
    tree["recipes"]["baseline"]["start"] = "none"
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        runpy.run_path(str(PROJECT / ".ci" / "tiny.py"), run_name="__main__")
        for words in (["prepare", "people"], ["train", "baseline"], ["evaluate", "baseline"], ["tables"]):
            main(words)
    return folder


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_top_to_bottom(notebook, study, monkeypatch):
    monkeypatch.chdir(study)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names = {"__name__": "__main__"}
    for cell in cells(notebook):
        exec(compile("".join(cell["source"]), f"{notebook.name} {cell['id']}", "exec"), names)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(notebook):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells(notebook))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_defines_nothing(notebook):
    source = "".join("".join(cell["source"]) for cell in cells(notebook))
    assert "def " not in source
    assert "class " not in source
