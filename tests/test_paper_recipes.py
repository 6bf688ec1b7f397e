"""Every paper's recipe trains two steps with all its own settings, at reduced size.

Images are 32x16, the backbone has an eighth of its width, an epoch has two steps and there is one. Start weights are
random, under the names that the recipe looks for. On a CPU a recipe in float16 trains in
float32; tests/training/test_gpu.py has steps in float16.
"""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import config, experiments
from pipeline.backbones import weights
from pipeline.backbones.resnet import ResNet
from pipeline.images import store, table
from pipeline.images.store import ImageStore
from pipeline.methods.registry import find
from pipeline.scoring.clusters import cluster
from pipeline.training.checkpoint import open_checkpoint
from pipeline.training.experiment import describe, publish, run
from tests.noise import HEIGHT, TEST, WIDTH, write_store

TREE = config.load(Path(__file__).parents[1] / "params.yaml")
RECIPES = [name for name in TREE["recipes"] if name.endswith("_paper")]
WIDTHS = 0.125
TRAIN = [*range(1, 7), *range(12, 30)]
PRECISIONS = {"baseline": "float16", "mdpr": "float16", "mskd": "float32", "two_stream": "float32", "smmd": "float32"}


def paint(persons, generator):
    """Returns images ``[N, H, W, 3]`` of four looks, so that as many as a recipe's neighbours look alike."""
    looks = generator.integers(0, 196, (4, 4, 2, 3)).repeat(HEIGHT // 4, axis=1).repeat(WIDTH // 2, axis=2)
    return looks[np.asarray(persons) % 4] + generator.integers(0, 60, (len(persons), HEIGHT, WIDTH, 3))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """The folder of a store of 24 persons to train on, seen in visible light by one camera, in infrared by another."""
    folder = write_store(tmp_path_factory.mktemp("prepared") / "noise", train=TRAIN, paint=paint)
    images = table.read(folder / store.TABLE_FILE)
    images.loc[images["camera_id"] == 2, "modality"] = "infrared"
    table.write(images, folder / store.TABLE_FILE)
    meta = json.loads((folder / store.META_FILE).read_text())
    (folder / store.META_FILE).write_text(json.dumps({**meta, "fingerprint": table.fingerprint(images)}))
    assert set(TEST).isdisjoint(TRAIN)
    return folder


def plain(depth):
    with torch.random.fork_rng():
        torch.manual_seed(depth)
        return ResNet(depth=depth, width=WIDTHS, ibn=False, last_stride=1, stem_pool="padded").state_dict()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose start weights are there: ImageNet's, and the file that MDPR's recipe names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(weights, "imagenet", lambda architecture: plain(50))
    start = experiments.resolve_recipe(TREE, "mdpr_paper")["start"]["file"]
    Path(start).parent.mkdir(parents=True)
    torch.save(plain(101), start)
    for kind in {find(experiments.resolve_recipe(TREE, name)["method"]) for name in RECIPES}:
        monkeypatch.setattr(kind, "batches", two_steps(kind.batches))
    return tmp_path


def two_steps(batches):
    return lambda self, labels, epoch: itertools.islice(batches(self, labels, epoch), 2)


def trial_of(recipe):
    tree = {**TREE, "data": {**TREE["data"], "noise": {"splits": 1}}}
    return tree, experiments.trial(tree, f"{recipe}@noise")


def train(recipe, people):
    """Trains a recipe and publishes it where those who learn from it look; returns its block and its history."""
    tree, trial = trial_of(recipe)
    block = experiments.resolve(tree, trial)
    block["training"] = {**block["training"], "epochs": 1}
    backbone = {**block["settings"]["backbone"], "width": WIDTHS}
    block["settings"] = {**block["settings"], "backbone": backbone}
    job = describe(recipe, block, find(block["method"]), people, Path(".runs"))
    history = run(job, lambda metrics: None, torch.device("cpu"))
    publish(job, trial.folder("train"), history, None)
    return block, history


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_papers_recipe_trains_two_steps_with_its_own_settings(recipe, people, project):
    teacher = TREE["recipes"][recipe].get("teacher")
    if teacher:
        block, _ = train(teacher, people)
        _, of = trial_of(teacher)
        folders = {"trained": of.folder("train"), "folder": of.folder("cluster")}
        cluster(teacher, block, find(block["method"]), ImageStore(people), **folders)
    block, (metrics,) = train(recipe, people)
    assert math.isfinite(metrics["loss"])
    _, trial = trial_of(recipe)
    meta = open_checkpoint(trial.folder("train")).meta
    own = experiments.resolve_recipe(TREE, recipe)
    assert own["training"]["precision"] == PRECISIONS[block["method"]]
    assert meta["experiment"]["augmentation"] == own["augmentation"]
    assert meta["experiment"]["training"] == {**own["training"], "epochs": 1}
    assert meta["precision"] == "float32"
    fit = meta["start_fit"]
    assert (fit is not None) == isinstance(own["start"], dict)
    if fit:
        assert fit["skipped"] == [f"layer{stage}.*.bn1" for stage in (1, 2, 3)]
