import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pipeline.backbones.weights import load_network, read_state
from pipeline.batches.loading import Batch
from pipeline.methods.mskd.authors import mskd_from_authors, mskd_to_authors
from pipeline.methods.mskd.method import MSKD, MSKDParams
from pipeline.methods.mskd.network import split_views

GOLDEN = Path(__file__).parents[1] / "golden"
REFERENCE = json.loads((GOLDEN / "lp_network_r50.json").read_text())
EXPECTED = dict(np.load(GOLDEN / "lp_network_r50.npz"))
LABELS = torch.tensor(REFERENCE["input"]["labels"])
VIEWS = ("global", "upper", "lower")
MODULES = {
    "stem": "backbone.maxpool",
    "layer1": "backbone.layer1",
    "layer2": "backbone.layer2",
    "layer3": "backbone.layer3",
    "layer4": "backbone.layer4",
    "gap": "pools.global",
    "gap2": "pools.upper",
    "gap3": "pools.lower",
}


def build(student=None):
    params = {
        "backbone": {"depth": 50, "width": 1.0, "ibn": False, "last_stride": 1, "stem_pool": "padded"},
        "pooling": "gem",
        "stripes": 2,
        "features": "global",
        "temperature": 0.05,
        "momentum": 0.1,
        "local_weight": 0.2,
        "iterations": 1,
        "other_cameras_first": True,
        "clustering": {
            "center_cameras": False, "local_weight": 0.15, "k1": 30, "k2": 6, "eps": 0.6, "min_samples": 4
        },
        "first_pass": None,
        "student": student,
        "batch": {"groups": 1, "identities": 2, "images": 3},
    }  # fmt: skip
    return MSKD(MSKDParams.model_validate(params), num_classes=1, height=64, width=32, seed=0).double()


@pytest.fixture(scope="module")
def authors_states(rules):
    entries = REFERENCE["state_dict"]
    return rules.state(entries), rules.state(entries, salt=REFERENCE["fill_salt_teacher_network"])


@pytest.fixture
def memories(rules):
    banks = [torch.from_numpy(rules.noise(700000 + view, 5 * 2048)).view(5, 2048) for view in range(3)]
    return F.normalize(torch.stack(banks), dim=2)


@pytest.fixture
def teacher(authors_states, memories):
    method = build()
    method.network.load_state_dict(mskd_from_authors(authors_states[0]), strict=True)
    method.memories = memories
    return method


@pytest.fixture
def student(authors_states, memories):
    method = build({"teacher": "", "mimicry_weight": 1.0, "mimicked": "all", "teacher_statistics": "batch"})
    method.network.load_state_dict(mskd_from_authors(authors_states[0]), strict=True)
    method.teacher.load_state_dict(mskd_from_authors(authors_states[1]), strict=True)
    method.memories = memories
    return method


def images(rules, kind="shape"):
    return 2 * rules.images(REFERENCE["input"][kind])


def probed(network, rules):
    found = {}
    for name, path in MODULES.items():
        network.get_submodule(path).register_forward_hook(
            lambda _module, _inputs, output, name=name: found.update({name: rules.probe(output)})
        )
    return found


def assert_equal(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


def assert_gradients_equal(network, expected):
    ours = mskd_to_authors(dict(network.named_parameters()))
    norms = {name: np.nan if weight.grad is None else float(weight.grad.norm()) for name, weight in ours.items()}
    assert sorted(norms) == sorted(REFERENCE["grad_parameters"])
    np.testing.assert_allclose([norms[name] for name in REFERENCE["grad_parameters"]], expected, rtol=1e-9)


def assert_buffers_equal(network, expected):
    buffers = mskd_to_authors(dict(network.named_buffers()))
    assert_equal([float(buffers[name].norm()) for name in REFERENCE["updated_buffers"]], expected)


def step(method, images):
    """Runs a step as the loop does, without the optimizer's."""
    output = method.train()(Batch(images, LABELS, torch.zeros(6, dtype=torch.bool), torch.arange(6)))
    output.loss.backward()
    method.after_step(LABELS, output.shared)
    return output


def test_the_fill_rule_is_the_references(rules, authors_states):
    own, teachers = authors_states
    assert_equal(rules.noise(0, 8), EXPECTED["check/v_k0_first8"])
    assert_equal(rules.noise(5000, 8), EXPECTED["check/v_k5000_first8"])
    assert_equal([float(tensor.double().norm()) for tensor in own.values()], EXPECTED["check/state_dict_norm"])
    assert not torch.equal(own["gap.p"], teachers["gap.p"])
    assert_equal(images(rules).flatten()[:8].numpy(), EXPECTED["check/image_first8"])


def test_names_map_one_to_one_in_both_directions(teacher, authors_states):
    ours = mskd_from_authors(authors_states[0])
    assert ours.keys() == teacher.network.state_dict().keys()
    assert list(mskd_to_authors(ours)) == list(authors_states[0])
    shapes = {name: list(tensor.shape) for name, tensor in mskd_to_authors(teacher.network.state_dict()).items()}
    assert shapes == {name: shape for name, shape, _ in REFERENCE["state_dict"]}


def test_evaluation_equals_the_authors(teacher, rules):
    network = teacher.eval().network
    found = probed(network, rules)
    with torch.no_grad():
        views = network(images(rules))
        assert_equal(network.embed(images(rules)).numpy(), EXPECTED["eval/global"])
        assert torch.equal(split_views(network.embed_views(images(rules)), 3), views)
    for view, values in zip(VIEWS, views, strict=True):
        assert_equal(values.numpy(), EXPECTED[f"eval/{view}"])
    for name in MODULES:
        assert_equal(found[name], EXPECTED[f"eval/{name}"])


def test_the_last_row_of_an_odd_map_is_in_neither_half_as_with_the_authors(teacher, rules):
    with torch.no_grad():
        views = teacher.eval().network(images(rules, "odd_shape"))
    for view, values in zip(VIEWS, views, strict=True):
        assert_equal(rules.probe(values), EXPECTED[f"eval_odd/{view}_stats"])


def test_a_checkpoint_file_of_the_authors_gives_their_feature(tmp_path, rules, authors_states):
    wrapped = {f"module.{name}": tensor for name, tensor in authors_states[0].items()}
    torch.save({"state_dict": wrapped, "epoch": 50, "best_mAP": np.float64(0.85)}, tmp_path / "model_best.pth.tar")
    method = build().eval()
    assert load_network(method.network, MSKD.from_authors(read_state(tmp_path / "model_best.pth.tar"))) == []
    with torch.no_grad():
        assert_equal(method.embedder()(images(rules)).numpy(), EXPECTED["eval/global"])


def test_a_step_of_the_teacher_equals_the_authors(teacher, rules):
    found = probed(teacher.network, rules)
    output = step(teacher, images(rules))
    for index, view in enumerate(VIEWS):
        assert_equal(output.shared["features"][:, index].numpy(), EXPECTED[f"train/{view}"])
        assert_equal(float(output.parts[f"{view}/contrast"]), EXPECTED[f"teacher/ce_{view}"])
        assert_equal(rules.probe(teacher.memories[index]), EXPECTED[f"teacher/memory_after_{view}_stats"])
    for name in MODULES:
        assert_equal(found[name], EXPECTED[f"train/{name}"])
    assert len(output.parts) == 3
    assert_equal(float(output.loss.detach()), EXPECTED["teacher/total"])
    assert_gradients_equal(teacher.network, EXPECTED["teacher/grad_norm"])


def test_a_step_of_the_student_equals_the_authors(student, rules):
    necks = {}
    for view, neck in student.teacher.necks.items():
        neck.register_forward_hook(lambda _module, _inputs, output, view=view: necks.update({view: output}))
    output = step(student, images(rules))
    for index, view in enumerate(VIEWS):
        assert_equal(rules.probe(necks[view]), EXPECTED[f"train_teacher/{view}_stats"])
        assert_equal(float(output.parts[f"{view}/contrast"]), EXPECTED[f"student/ce_{view}"])
        assert_equal(float(output.parts[f"{view}/mimicry"]), EXPECTED[f"student/distill_{view}"])
        assert_equal(student.memories[index].numpy(), EXPECTED[f"student/memory_after_{view}"])
    assert len(output.parts) == 6
    assert_equal(float(output.loss.detach()), EXPECTED["student/total"])
    assert_gradients_equal(student.network, EXPECTED["student/grad_norm"])
    assert_buffers_equal(student.network, EXPECTED["student/buffer_norm"])
    assert_buffers_equal(student.teacher, EXPECTED["student/teacher_buffer_norm"])


def test_memories_of_momentum_one_stay_as_with_the_authors(teacher, memories, rules):
    before = memories.clone()
    teacher.momentum = 1.0
    output = step(teacher, images(rules))
    assert_equal(float(output.loss.detach()), EXPECTED["teacher_epoch_minus_1/total"])
    assert EXPECTED["teacher_epoch_minus_1/memory_max_change"] < 1e-15
    assert float((teacher.memories - before).abs().max()) < 1e-15
