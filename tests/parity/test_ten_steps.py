"""Ten steps of whole trainings beside those of the authors' code: optimizer, decay, schedule, memories, statistics."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import config, experiments
from pipeline.batches.loading import Loader
from pipeline.methods.smmd.authors import agw_from_authors
from pipeline.methods.smmd.method import TwoStream
from pipeline.training.loop import Trainer, TrainingParams
from pipeline.training.workers import Workers

ROOT = Path(__file__).parents[2]
TREE = config.load(ROOT / "params.yaml")
CPU = torch.device("cpu")
DAMPED = (".bn3.", ".W.1.")


def recipe(name, **training):
    block = experiments.resolve_recipe(TREE, name)
    return {**block, "training": {**block["training"], **training, "precision": "float64"}}


def images(rules, count, height, width):
    """The images of the reference, ``[N, H, W, 3]`` uint8."""
    raw = np.rint(127.5 * (1 + rules.images([count, 3, height, width]).numpy()))
    return raw.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def train(method, block, pixels, identities, batches, *, cameras=None, is_infrared=None):
    """Trains by the loop on given rows for each epoch, steps of ``[groups, B]``; returns its history."""
    method.batches = lambda labels, epoch: batches[epoch]
    nothing = np.zeros(len(pixels), dtype=np.int64)
    cameras = nothing if cameras is None else cameras
    is_infrared = nothing.astype(bool) if is_infrared is None else is_infrared
    method.begin_training(cameras, is_infrared, {})
    trainer = Trainer(
        name="ten steps",
        method=method,
        loader=Loader(pixels, cameras, is_infrared, None, CPU, torch.float64),
        identities=identities,
        params=config.parse(TrainingParams, block["training"], "training"),
        seed=1,
        precision="float64",
        device=CPU,
        workers=Workers.current(),
        run_folder=None,
        meta={},
        report=lambda metrics: None,
    )
    return trainer.run()


def column(history, name):
    return [row[name] for row in history]


def assert_close(actual, expected, what=""):
    np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max(), err_msg=what)


def fill(network, golden, key, ours_of, rules):
    """Fills the network by the rule of tests/golden; returns the authors' names of its tensors.

    What ends a residual or a non-local block is a tenth of that: else each step multiplies rounding thirtyfold.
    """
    names = golden[f"{key}/names"].tolist()
    entries = [
        (name, [int(size) for size in shape if size >= 0], "")
        for name, shape in zip(names, golden[f"{key}/shapes"], strict=True)
    ]
    state = rules.state(entries)
    damped = {
        name: 0.1 * state[name] for name in names if any(part in name for part in DAMPED) and "running" not in name
    }
    network.load_state_dict(ours_of({**state, **{name: value for name, value in damped.items() if value.ndim}}))
    return names


def assert_states_equal(network, names, expected, ours_of, rules):
    """Ensures that every weight and statistic has the reference's mean, norm and weighted sum."""
    ours = ours_of({name: torch.from_numpy(probe) for name, probe in zip(names, expected, strict=True)})
    state = network.state_dict()
    assert ours.keys() == state.keys()
    for name, probe in ours.items():
        tensor = state[name].double().reshape(-1)
        # The weighted sum may cancel: it is as exact as the norm of what is summed.
        slack = 1e-8 * max(float(probe[1]), 1e-8)
        np.testing.assert_allclose(rules.probe(tensor), probe, rtol=1e-8, atol=slack, err_msg=name)


@pytest.mark.parametrize("name", ["agw", "base"])
def test_ten_steps_of_agw_equal_the_authors(name, rules):
    golden = dict(np.load(ROOT / "tests/golden/agw_ten_steps.npz"))
    block = recipe(f"{name}_paper", epochs=10, learning_rate=0.001)
    method = TwoStream(
        config.parse(TwoStream.params_type, block["settings"], name), num_classes=395, height=48, width=24, seed=0
    ).double()
    names = fill(method.network, golden, name, agw_from_authors, rules)
    rows = [[4 * a + k, 4 * a + k + 1, 4 * b + k, 4 * b + k + 1] for a, b, k in picked()]
    batches = [np.array([[first + [row + 12 for row in first]]]).reshape(1, 1, 8) for first in rows]
    persons = np.repeat([3, 8, 20, 3, 8, 20], 4)
    history = train(method, block, images(rules, 24, 48, 24), persons, batches, is_infrared=np.arange(24) >= 12)
    assert_close(column(history, "learning_rate"), golden[f"{name}/learning_rate"])
    assert_close(column(history, "identity"), golden[f"{name}/loss_identity"])
    assert_close(column(history, "triplet"), golden[f"{name}/loss_triplet"])
    assert_close(column(history, "gradient_norm"), golden[f"{name}/gradient_norm"])
    assert_states_equal(method.network, names, golden[f"{name}/state"], agw_from_authors, rules)


def picked():
    """Yields two of three persons and the first of two of their four images, for each of ten steps."""
    for step in range(10):
        yield (*((0, 1), (0, 2), (1, 2))[step % 3], step % 2 * 2)
