import json

import numpy as np
import pytest
import torch

from pipeline.batches.loading import Loader
from pipeline.config import parse
from pipeline.evaluation import trivial_baselines
from pipeline.evaluation.metrics import NAMES
from pipeline.evaluation.protocols import MARKET
from pipeline.evaluation.stamp import check_equal_protocols, read_result
from pipeline.images.store import ImageStore
from pipeline.methods.baseline.method import Baseline
from pipeline.scoring import evaluate as scoring
from pipeline.scoring.comparison import EvaluationParams, compare
from pipeline.scoring.references import ReferencesParams, networks, trivial
from pipeline.training import checkpoint, experiment
from pipeline.training.checkpoint import open_checkpoint
from tests.noise import BASELINE, EVALUATION, changed

REFERENCES = {
    "chance": {"columns": 8, "trials": 5, "seed": 1},
    "colour_stripes": {"stripes": 4, "bins": 2},
    "raw_pixels": {"height": 16, "width": 8},
    "pretrained": "pretrain",
}
PARAMS = parse(ReferencesParams, REFERENCES, "references")
EVALUATION_PARAMS = EvaluationParams(**EVALUATION)


@pytest.fixture(scope="module")
def store(noise):
    return ImageStore(noise)


@pytest.fixture
def pretrained(store, tmp_path):
    """A checkpoint for 9 identities of other data, which was itself started from weights."""
    block = changed(BASELINE, data="elsewhere", start="weights/imagenet.pth")
    params = experiment.parse(experiment.ExperimentParams, block, "experiments.pretrain")
    method, fresh = (experiment.build_method(Baseline, params, "pretrain", store, 9) for _ in range(2))
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in method.network.parameters():
            weight += 0.1 * torch.randn_like(weight)
    meta = {
        "name": "pretrain",
        "experiment": block,
        "num_classes": 9,
        "epoch": 4,
        "image": [32, 16],
        "resampling": "bicubic",
    }
    checkpoint.save(tmp_path / "pretrain", method, {}, meta)
    return open_checkpoint(tmp_path / "pretrain"), fresh


def test_trivial_references_are_written_with_equal_protocols(store, tmp_path):
    results = list(trivial(store, PARAMS, EVALUATION_PARAMS, tmp_path))
    assert [result.experiment for result in results] == ["chance", "colour_stripes", "raw_pixels"]
    for result in results:
        assert read_result(tmp_path / f"{result.experiment}@noise" / "metrics.json") == result
        assert (result.recipe.supervision, result.recipe.start_weights, result.recipe.epoch) == ("none", "none", 0)
        assert result.metrics.keys() >= set(NAMES)
    check_equal_protocols(results)
    assert [result.recipe.feature for result in results] == ["8-d", f"{4 * 2**3}-d", f"{16 * 8 * 3}-d"]


def test_chance_is_a_mean_of_trials_and_says_how_far_they_lie_apart(store, tmp_path):
    chance = next(iter(trivial(store, PARAMS, EVALUATION_PARAMS, tmp_path)))
    assert chance.trials == 5
    assert json.loads((tmp_path / "chance@noise" / "metrics.json").read_text())["mAP_std"] > 0


def test_pixels_are_those_of_the_test_images(store, tmp_path):
    rows = scoring.test_rows(store)
    features = trivial_baselines.raw_pixels(np.asarray(store.images[rows]), height=16, width=8)
    *_, pixels = trivial(store, PARAMS, EVALUATION_PARAMS, tmp_path)
    table = store.table.iloc[rows]
    assert pixels.metrics == compare(features, table, MARKET, EVALUATION_PARAMS).metrics
    assert pixels.metrics["mAP"] > 0.9  # each identity of these noise images has its own pattern


def test_networks_are_scored_before_and_after_their_training_on_data_they_never_saw(store, pretrained, tmp_path):
    found, _ = pretrained
    untrained, trained = networks(store, found, Baseline, EVALUATION_PARAMS, tmp_path / "out")
    check_equal_protocols([untrained, trained])
    assert (untrained.experiment, trained.experiment) == ("untrained", "pretrained")
    assert (untrained.recipe.epoch, untrained.recipe.start_weights) == (0, "random")
    assert (trained.recipe.epoch, trained.recipe.start_weights) == (4, "pretrain")
    assert untrained.recipe.supervision == trained.recipe.supervision == "none"
    assert not np.array_equal(
        *(np.load(tmp_path / "out" / f"{n}@noise" / "embeddings.npy") for n in ("untrained", "pretrained"))
    )


def test_untrained_is_the_network_as_its_seed_fills_it(store, pretrained, tmp_path):
    found, fresh = pretrained
    next(networks(store, found, Baseline, EVALUATION_PARAMS, tmp_path))
    fresh.network.eval()
    loader = Loader(store.images, store.cameras, store.is_infrared, None, torch.device("cpu"), torch.float32)
    with torch.no_grad():
        expected = fresh.embedder()(loader.plain(scoring.test_rows(store)))
    np.testing.assert_allclose(np.load(tmp_path / "untrained@noise" / "embeddings.npy"), expected, rtol=1e-5, atol=1e-6)
