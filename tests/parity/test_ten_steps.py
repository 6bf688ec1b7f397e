"""Ten steps of whole trainings beside those of the authors' code: optimizer, decay, schedule, memories, statistics."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline import config, experiments
from pipeline.batches.loading import Loader
from pipeline.methods.mdpr.authors import mdpr_from_authors
from pipeline.methods.mdpr.method import MDPR
from pipeline.methods.mskd.authors import mskd_from_authors
from pipeline.methods.mskd.method import MSKD
from pipeline.methods.smmd.authors import agw_from_authors
from pipeline.methods.smmd.method import TwoStream
from pipeline.training.cluster_labels import write_labels
from pipeline.training.embed import embed
from pipeline.training.loop import Trainer, TrainingParams
from pipeline.training.workers import Workers
from tests.parity.test_mdpr_network import LOSS_NAMES

ROOT = Path(__file__).parents[2]
TREE = config.load(ROOT / "params.yaml")
CPU = torch.device("cpu")


def recipe(name, **training):
    block = experiments.resolve_recipe(TREE, name)
    return {**block, "training": {**block["training"], **training, "precision": "float64"}}


def images(rules, count, height, width):
    """The images of the reference, ``[N, H, W, 3]`` uint8."""
    raw = np.rint(127.5 * (1 + rules.images([count, 3, height, width]).numpy()))
    return raw.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def train(method, block, pixels, identities, batches, *, cameras=None, is_infrared=None, sources=None):
    """Trains by the loop on given rows for each epoch, steps of ``[groups, B]``; returns its history."""
    method.batches = lambda labels, epoch: batches[epoch]
    nothing = np.zeros(len(pixels), dtype=np.int64)
    cameras = nothing if cameras is None else cameras
    is_infrared = nothing.astype(bool) if is_infrared is None else is_infrared
    method.begin_training(cameras, is_infrared, sources or {})
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


def fill(network, golden, key, ours_of, rules, *, salt=0, damped=(".bn3.", ".W.1.")):
    """Fills the network by the rule of tests/golden; returns the authors' names of its tensors.

    What ends a residual or a non-local block is a tenth of that: else each step multiplies rounding thirtyfold.
    """
    names, shapes = (golden[f"{key}/{what}" if key else what] for what in ("names", "shapes"))
    names = names.tolist()
    sizes = [[int(size) for size in shape if size >= 0] for shape in shapes]
    state = rules.state([(name, size, "") for name, size in zip(names, sizes, strict=True)], salt)
    for name, tensor in state.items():
        if any(part in name for part in damped) and name.endswith((".weight", ".bias")):
            state[name] = 0.1 * tensor
    network.load_state_dict(ours_of(state))
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


@pytest.fixture(scope="module")
def people(rules):
    """Eight images of each of four persons and one of each of three, ``[35, 48, 24, 3]`` uint8."""
    persons = np.concatenate([np.repeat(np.arange(4), 8), [4, 5, 6]])
    grain = rules.noise(950000, 35 * 3 * 48 * 24).reshape(35, 3, 48, 24)
    raw = np.rint(127.5 * (1 + 0.8 * rules.images([7, 3, 48, 24]).numpy()[persons] + 0.35 * grain))
    return raw.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def build_mskd(name, milestone, student=None):
    """Returns MSKD by a paper's recipe, but with fewer neighbours, as there are 35 images, and its block."""
    block = recipe(name, epochs=2)
    block["training"]["decay"] = {**block["training"]["decay"], "milestones": [milestone]}
    block["settings"] = config.overlaid(
        block["settings"], {"clustering": {"k1": 10, "k2": 3}, "batch": {"groups": 1}, **(student or {})}, name
    )
    settings = config.parse(MSKD.params_type, block["settings"], name)
    return MSKD(settings, num_classes=1, height=48, width=24, seed=0).double(), block


def train_mskd(method, block, kind, golden, pixels, sources=None):
    """Trains on the authors' rows; returns the history, and labels and memories after each of the two epochs."""
    found = []
    begin = method.begin_epoch

    def begin_epoch(epoch, embed_all, labels):
        found.append((begin(epoch, embed_all, labels), method.memories))
        return found[-1][0]

    method.begin_epoch = begin_epoch
    batches = [golden[f"{kind}/rows{epoch}"][:, None] for epoch in range(2)]
    return train(method, block, pixels, np.zeros(len(pixels), dtype=np.int64), batches, sources=sources), found


def check_mskd(method, history, found, kind, golden, rules):
    steps = [len(golden[f"{kind}/rows{epoch}"]) for epoch in range(2)]
    assert_close(column(history, "loss"), [part.mean() for part in np.split(golden[f"{kind}/loss"], steps[:1])])
    for epoch, (labels, memories) in enumerate(found):
        np.testing.assert_array_equal(labels, golden[f"{kind}/labels{epoch}"])
        assert_close(history[epoch]["learning_rate"], golden[f"{kind}/rate{epoch}"])
        for view, expected in zip(memories, golden[f"{kind}/memory{epoch}"], strict=True):
            assert_close(rules.probe(view.reshape(-1)), expected, "memory")
    names = golden["names"].tolist()
    assert_states_equal(method.network, names, golden[f"{kind}/state"], mskd_from_authors, rules)


def test_ten_steps_of_an_mskd_teacher_and_of_its_student_equal_the_authors(rules, people, tmp_path):
    golden = dict(np.load(ROOT / "tests/golden/mskd_ten_steps.npz"))
    teacher, block = build_mskd("teacher_paper", 1)
    fill(teacher.network, golden, "", mskd_from_authors, rules)
    history, found = train_mskd(teacher, block, "teacher", golden, people)
    check_mskd(teacher, history, found, "teacher", golden, rules)
    save_file(teacher.network.state_dict(), tmp_path / "model.safetensors")

    rows = np.arange(len(people))
    loader = Loader(people, rows * 0, rows < 0, None, CPU, torch.float64)
    labels = teacher.find_labels(lambda part: embed(part, loader, rows, batch_size=35, workers=Workers.current()), rows)
    write_labels(tmp_path / "labels.parquet", rows, labels)

    given = {"first_pass": {"clusters": ""}, "student": {"teacher": ""}}
    student, block = build_mskd("student_paper", 1, given)
    fill(student.network, golden, "", mskd_from_authors, rules, salt=5000)
    sources = {"teacher": tmp_path / "model.safetensors", "clusters": tmp_path / "labels.parquet"}
    history, found = train_mskd(student, block, "student", golden, people, sources)
    check_mskd(student, history, found, "student", golden, rules)
    names = golden["names"].tolist()
    assert_states_equal(student.teacher, names, golden["student/teacher_state"], mskd_from_authors, rules)


def test_ten_steps_of_mdpr_equal_the_authors(rules):
    golden = dict(np.load(ROOT / "tests/golden/mdpr_ten_steps.npz"))
    block = recipe("mdpr_paper", epochs=5, warmup_steps=3)
    small = {"backbone": {"depth": 18}, "embedding_dim": 32, "batch": {"groups": 1}}
    settings = config.overlaid(block["settings"], small, "mdpr_paper")
    params = config.parse(MDPR.params_type, settings, "mdpr_paper")
    method = MDPR(params, num_classes=11, height=64, width=32, seed=0).double()
    names = fill(method.network, golden, "", mdpr_from_authors, rules, damped=(".bn2.",))
    persons, batches = np.repeat([3, 5, 8, 10], 6), golden["rows"].reshape(5, 2, 1, 6)
    history = train(method, block, images(rules, 24, 64, 32), persons, batches)
    losses = dict(zip(golden["loss_names"].tolist(), golden["losses"].reshape(5, 2, -1).mean(axis=1).T, strict=True))
    assert len(losses) == 19
    for theirs, ours in LOSS_NAMES.items():
        assert_close(column(history, ours), losses[theirs], ours)
    assert_close(column(history, "gradient_norm"), golden["gradient_norm"].reshape(5, 2).mean(axis=1))
    assert_close(column(history, "learning_rate"), golden["rate"][1::2])
    assert_states_equal(method.network, names, golden["state"], mdpr_from_authors, rules)
