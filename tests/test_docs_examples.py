"""What docs/adding_a_method.md and export.md show is built from their code blocks, and run."""

import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from pipeline.methods import registry
from stages import train
from tests.noise import BACKBONE, BASELINE, BATCH
from tests.stages.conftest import Project

ROOT = Path(__file__).parents[1]


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(), flags=re.DOTALL)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that writes a page's first Python block to a file, as a module of that name."""

    def write(page, name):
        (tmp_path / f"{name}.py").write_text(blocks(page, "python")[0])
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        return name

    yield write
    sys.modules.pop("shown_method", None)


def with_block(page, under):
    """Returns params.yaml with the block of a page at the end of a key, where all anchors are known."""
    text = (ROOT / "params.yaml").read_text()
    (block,) = blocks(page, "yaml")
    after = re.search(rf"^{under}:.*?(?=^\S)", text, flags=re.DOTALL | re.MULTILINE)
    return yaml.safe_load(text[: after.end()] + block + text[after.end() :])


def test_the_method_of_the_page_trains(module, noise, tmp_path, monkeypatch):
    registered, name = blocks("adding_a_method.md", "python")[1], module("adding_a_method.md", "shown_method")
    assert registered.strip() == 'METHODS["cosine"] = "pipeline.methods.cosine:Cosine"'
    monkeypatch.setitem(registry.METHODS, "cosine", f"{name}:Cosine")
    shown = with_block("adding_a_method.md", "experiments")["experiments"]["cosine"]
    assert shown.keys() == BASELINE.keys()
    shutil.copytree(noise, tmp_path / "data" / "prepared" / "noise")
    training = {**BASELINE["training"], "epochs": 1}
    settings = {**shown["settings"], "backbone": BACKBONE, "batch": BATCH}
    small = {**shown, "data": "noise", "start": "none", "training": training, "settings": settings}
    project = Project(tmp_path)
    project.write(experiments={"cosine": small}, resources={"default": project.params["resources"]["pretrain"]})
    project.run(train, "cosine")
    meta = json.loads((tmp_path / "artifacts" / "train" / "cosine" / "meta.json").read_text())
    assert (meta["experiment"]["method"], meta["epoch"]) == ("cosine", 1)
    history = pd.read_csv(tmp_path / "artifacts" / "train" / "cosine" / "history.csv")
    assert history.loc[0, "loss"] == history.loc[0, "identity"] > 0


def test_the_lines_that_run_an_exported_file_run(tmp_path, monkeypatch, noise):
    from pipeline import export
    from pipeline.images.store import ImageStore
    from pipeline.inference import embed_images, open_network
    from tests.report.conftest import write_training

    write_training(tmp_path / "train", ImageStore(noise), "baseline", BASELINE)
    export.export(tmp_path / "train" / "baseline", tmp_path / "exported" / "baseline")
    image = np.array(ImageStore(noise).images[0])
    Image.fromarray(image).save(tmp_path / "person.png")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(blocks("export.md", "python")[0].replace("person.jpg", "person.png"), names)
    expected = embed_images(open_network(tmp_path / "train" / "baseline"), image[None], np.zeros(1, bool))
    np.testing.assert_allclose(names["embeddings"], expected, rtol=1e-3, atol=1e-4)
