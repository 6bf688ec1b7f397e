import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pipeline.losses.cluster_memory import update_memory
from pipeline.losses.multi_view import MultiViewLoss
from pipeline.models.mskd import MSKDNetwork, split_views
from pipeline.models.mskd_names import mskd_from_authors, mskd_to_authors
from pipeline.models.resnet import ResNet
from pipeline.models.weights import load_network, read_state

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


def build():
    backbone = ResNet(depth=50, width=1.0, ibn=False, last_stride=1, stem_pool="padded")
    return MSKDNetwork(backbone=backbone, stripes=2).double()


def loss():
    return MultiViewLoss(views=VIEWS, temperature=0.05, local_weight=0.2, mimicry_weight=1.0, mimicked="all")


@pytest.fixture(scope="module")
def authors_states(rules):
    entries = REFERENCE["state_dict"]
    return rules.state(entries), rules.state(entries, salt=REFERENCE["fill_salt_teacher_network"])


@pytest.fixture
def network(authors_states):
    network = build()
    network.load_state_dict(mskd_from_authors(authors_states[0]), strict=True)
    return network


@pytest.fixture
def frozen_teacher(authors_states):
    network = build()
    network.load_state_dict(mskd_from_authors(authors_states[1]), strict=True)
    return network


@pytest.fixture
def memories(rules):
    banks = [torch.from_numpy(rules.noise(700000 + view, 5 * 2048)).view(5, 2048) for view in range(3)]
    return F.normalize(torch.stack(banks), dim=2)


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


def test_the_fill_rule_is_the_references(rules, authors_states):
    own, teachers = authors_states
    assert_equal(rules.noise(0, 8), EXPECTED["check/v_k0_first8"])
    assert_equal(rules.noise(5000, 8), EXPECTED["check/v_k5000_first8"])
    assert_equal([float(tensor.double().norm()) for tensor in own.values()], EXPECTED["check/state_dict_norm"])
    assert not torch.equal(own["gap.p"], teachers["gap.p"])
    assert_equal(images(rules).flatten()[:8].numpy(), EXPECTED["check/image_first8"])


def test_names_map_one_to_one_in_both_directions(network, authors_states):
    ours = mskd_from_authors(authors_states[0])
    assert ours.keys() == network.state_dict().keys()
    assert list(mskd_to_authors(ours)) == list(authors_states[0])
    shapes = {name: list(tensor.shape) for name, tensor in mskd_to_authors(network.state_dict()).items()}
    assert shapes == {name: shape for name, shape, _ in REFERENCE["state_dict"]}


def test_evaluation_equals_the_authors(network, rules):
    found = probed(network.eval(), rules)
    with torch.no_grad():
        views = network(images(rules))
        assert_equal(network.embed(images(rules)).numpy(), EXPECTED["eval/global"])
        assert torch.equal(split_views(network.embed_views(images(rules)), 3), views)
    for view, values in zip(VIEWS, views, strict=True):
        assert_equal(values.numpy(), EXPECTED[f"eval/{view}"])
    for name in MODULES:
        assert_equal(found[name], EXPECTED[f"eval/{name}"])


def test_the_last_row_of_an_odd_map_is_in_neither_half_as_with_the_authors(network, rules):
    with torch.no_grad():
        views = network.eval()(images(rules, "odd_shape"))
    for view, values in zip(VIEWS, views, strict=True):
        assert_equal(rules.probe(values), EXPECTED[f"eval_odd/{view}_stats"])


def test_a_checkpoint_file_of_the_authors_gives_their_feature(tmp_path, rules, authors_states):
    wrapped = {f"module.{name}": tensor for name, tensor in authors_states[0].items()}
    torch.save({"state_dict": wrapped, "epoch": 50, "best_mAP": np.float64(0.85)}, tmp_path / "model_best.pth.tar")
    network = build().eval()
    assert load_network(network, mskd_from_authors(read_state(tmp_path / "model_best.pth.tar"))) == []
    with torch.no_grad():
        assert_equal(network.embed(images(rules)).numpy(), EXPECTED["eval/global"])


def test_a_step_of_the_teacher_equals_the_authors(network, memories, rules):
    found = probed(network.train(), rules)
    views = network(images(rules))
    total, terms = loss()(views, LABELS, memories)
    total.backward()
    for view, values in zip(VIEWS, views, strict=True):
        assert_equal(values.detach().numpy(), EXPECTED[f"train/{view}"])
        assert_equal(float(terms[f"{view}/contrast"].detach()), EXPECTED[f"teacher/ce_{view}"])
    for name in MODULES:
        assert_equal(found[name], EXPECTED[f"train/{name}"])
    assert len(terms) == 3
    assert_equal(float(total.detach()), EXPECTED["teacher/total"])
    assert_gradients_equal(network, EXPECTED["teacher/grad_norm"])
    update_memory(memories, views.detach(), LABELS, momentum=0.1)
    for view, memory in zip(VIEWS, memories, strict=True):
        assert_equal(rules.probe(memory), EXPECTED[f"teacher/memory_after_{view}_stats"])


def test_a_step_of_the_student_equals_the_authors(network, frozen_teacher, memories, rules):
    views = network.train()(images(rules))
    necks: dict[str, np.ndarray] = {}
    for view, neck in frozen_teacher.necks.items():
        neck.register_forward_hook(lambda _m, _i, output, view=view: necks.update({view: rules.probe(output)}))
    with torch.no_grad():
        shown = frozen_teacher.train()(images(rules))
    for view in VIEWS:
        assert_equal(necks[view], EXPECTED[f"train_teacher/{view}_stats"])
    total, terms = loss()(views, LABELS, memories, shown)
    total.backward()
    for view in VIEWS:
        assert_equal(float(terms[f"{view}/contrast"].detach()), EXPECTED[f"student/ce_{view}"])
        assert_equal(float(terms[f"{view}/mimicry"].detach()), EXPECTED[f"student/distill_{view}"])
    assert len(terms) == 6
    assert_equal(float(total.detach()), EXPECTED["student/total"])
    assert_gradients_equal(network, EXPECTED["student/grad_norm"])
    assert_buffers_equal(network, EXPECTED["student/buffer_norm"])
    assert_buffers_equal(frozen_teacher, EXPECTED["student/teacher_buffer_norm"])
    update_memory(memories, views.detach(), LABELS, momentum=0.1)
    for view, memory in zip(VIEWS, memories, strict=True):
        assert_equal(memory.numpy(), EXPECTED[f"student/memory_after_{view}"])


def test_a_memory_of_momentum_one_stays_as_with_the_authors(network, memories, rules):
    before = memories.clone()
    views = network.train()(images(rules)).detach()
    total, _ = loss()(views, LABELS, memories)
    assert_equal(float(total), EXPECTED["teacher_epoch_minus_1/total"])
    update_memory(memories, views, LABELS, momentum=1.0)
    assert EXPECTED["teacher_epoch_minus_1/memory_max_change"] < 1e-15
    assert float((memories - before).abs().max()) < 1e-15
