import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.backbones.weights import load_network, read_state
from pipeline.batches.loading import Batch
from pipeline.methods.mdpr.authors import mdpr_from_authors, mdpr_to_authors
from pipeline.methods.mdpr.method import MDPR, MDPRParams

GOLDEN = Path(__file__).parents[1] / "golden"
REFERENCE = json.loads((GOLDEN / "mdpr_network_small.json").read_text())
EXPECTED = dict(np.load(GOLDEN / "mdpr_network_small.npz"))
LABELS = torch.tensor([0, 0, 0, 1, 1, 1]) * 5 + 3

PARAMS = MDPRParams.model_validate(
    {
        "backbone": {"depth": 18, "width": 1.0, "ibn": True, "last_stride": 1, "stem_pool": "ceil"},
        "embedding_dim": 32,
        "hard_global": True,
        "part_num": 2,
        "soft": True,
        "attn_num": 2,
        "attn_guided": True,
        "bap_heads": True,
        "fusion": True,
        "diversity": True,
        "foreground_weight": 0.001,
        "distillation": "predictor_cosine",
        "scale": 64.0,
        "margin": 0.35,
        "smoothing": 0.1,
        "triplet_margin": 0.05,
        "features": ["hard_global", "hard_parts", "attn4", "attn3", "fusion"],
        "batch": {"groups": 1, "identities": 2, "images": 3},
    }
)
PROBES = {
    "H": "shared",
    "part_layer3": "hard.layer3",
    "part_X4": "hard.layer4",
    "embedding_hard_global": "hard.embed_global",
    "embedding_hard_part.0": "hard.embed_parts.0",
    "embedding_hard_part.1": "hard.embed_parts.1",
    "X3": "soft.layer3",
    "X4": "soft.layer4",
    "embedding_attn_feature4": "soft.embed4",
    "attention_maker4": "soft.attention.deep",
    "up_attn_4_3": "soft.attention.guide",
    "attention_maker3": "soft.attention.shallow",
    "em3_1024": "soft.refine3",
    "attn_bap3": "soft.pool3",
    "embedding_attn_feature3": "soft.embed3",
    "attn_bap4": "soft.pool4",
    "fusion.merge": "fusion.parts",
    "fusion.output_part": "fusion.hard",
    "fusion.output_attn": "fusion.soft",
    "fusion.output": "fusion.joint",
    "hard_global_head": "heads.hard_global",
    "hard_part_head.0": "heads.hard_part_0",
    "hard_part_head.1": "heads.hard_part_1",
    "attn_feature4_head": "heads.attn4",
    "attn_feature3_head": "heads.attn3",
    "attn_bap_feature4_head": "heads.bap4",
    "attn_bap_feature3_head": "heads.bap3",
    "fusion_feat_head": "heads.fusion",
    "predictor1": "predictors.0",
    "predictor2": "predictors.1",
}
LOSSES = {
    "hard_global": "hard_global",
    "hard_part_0": "hard_part_0",
    "hard_part_1": "hard_part_1",
    "attn_feature4": "attn4",
    "attn_feature3": "attn3",
    "fusion": "fusion",
}
LOSS_NAMES = {
    **{f"loss_{theirs}_cls": f"{ours}/identity" for theirs, ours in LOSSES.items()},
    **{f"loss_{theirs}_triplet": f"{ours}/triplet" for theirs, ours in LOSSES.items()},
    **{f"loss_attn_bap{depth}_cls": f"bap{depth}/identity" for depth in (3, 4)},
    **{f"loss_diversity_loss_{depth}": f"attn{depth}/diversity" for depth in (3, 4)},
    **{f"loss_diversity_loss_reg_{depth}": f"attn{depth}/foreground" for depth in (3, 4)},
    "loss_mutual_distillation": "mutual_distillation",
}


def normalised(rules, shape):
    mean = torch.tensor(REFERENCE["config"]["pixel_mean"], dtype=torch.float64).view(3, 1, 1)
    std = torch.tensor(REFERENCE["config"]["pixel_std"], dtype=torch.float64).view(3, 1, 1)
    return (127.5 * (1 + rules.images(shape)) - mean) / std


def as_theirs(name, output):
    if name in ("attn_bap3", "attn_bap4"):
        return output.transpose(0, 1).flatten(1).relu()
    if name == "up_attn_4_3":
        return output.relu()
    return output.vector if name.endswith(("_head", "_head.0", "_head.1")) else output


@pytest.fixture(scope="module")
def authors_state(rules):
    return rules.state(REFERENCE["state_dict"])


@pytest.fixture
def method(authors_state):
    method = MDPR(PARAMS, num_classes=11, height=64, width=32, seed=0).double()
    method.network.load_state_dict(mdpr_from_authors(authors_state), strict=True)
    return method


@pytest.fixture
def probed(method, rules):
    found = {}
    for name, path in PROBES.items():
        method.network.get_submodule(path).register_forward_hook(
            lambda _module, _inputs, output, name=name: found.update({name: rules.probe(as_theirs(name, output))})
        )
    return found


def assert_equal(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


def test_the_fill_rule_is_the_references(rules, authors_state):
    norms = [float(tensor.double().norm()) for tensor in authors_state.values()]
    assert_equal(rules.noise(0, 8), EXPECTED["check/v_k0_first8"])
    assert_equal(norms, EXPECTED["check/state_dict_norm"])
    raw = 127.5 * (1 + rules.images(REFERENCE["input"]["shape"]))
    assert_equal(raw.flatten()[:8].numpy(), EXPECTED["check/image_first8"])


def test_names_map_one_to_one_in_both_directions(method, authors_state):
    ours = mdpr_from_authors(authors_state)
    assert ours.keys() == method.network.state_dict().keys()
    assert list(mdpr_to_authors(ours)) == list(authors_state)
    shapes = {name: list(tensor.shape) for name, tensor in mdpr_to_authors(method.network.state_dict()).items()}
    assert shapes == {name: shape for name, shape, _ in REFERENCE["state_dict"]}


def test_evaluation_equals_the_authors(method, probed, rules):
    method.eval()
    images = normalised(rules, REFERENCE["input"]["shape"])
    with torch.no_grad():
        feature = method.embedder()(images)
        output = method.network(images)
    assert_equal(feature.numpy(), EXPECTED["eval/feature"])
    for depth in (3, 4):
        assert_equal(output.attention[depth].numpy(), EXPECTED[f"eval/a{depth}_map"])
    names = [key.removeprefix("eval/") for key in EXPECTED if key.startswith("eval/") and EXPECTED[key].shape == (3,)]
    assert len(names) == 26
    for name in names:
        assert_equal(probed[name], EXPECTED[f"eval/{name}"])


def test_a_checkpoint_file_of_the_authors_gives_their_feature(tmp_path, rules, authors_state):
    torch.save({"model": authors_state, "iteration": 1}, tmp_path / "model_final.pth")
    method = MDPR(PARAMS, num_classes=4, height=64, width=32, seed=0).double().eval()
    left_out = load_network(method.network, mdpr_from_authors(read_state(tmp_path / "model_final.pth")))
    assert left_out == [f"heads.{name}.classifier.weight" for name in method.network.heads]
    with torch.no_grad():
        feature = method.embedder()(normalised(rules, REFERENCE["input"]["shape"]))
    assert_equal(feature.numpy(), EXPECTED["eval/feature"])


def test_names_of_another_network_are_refused():
    with pytest.raises(ValueError, match=r"1 tensors are not MDPR's, among them layer9\.weight"):
        mdpr_from_authors({"layer9.weight": torch.zeros(1)})


def test_unequal_stripes_of_an_odd_map_equal_the_authors(method, rules):
    with torch.no_grad():
        feature = method.eval().embedder()(normalised(rules, REFERENCE["input"]["odd_shape"]))
    assert_equal(feature.numpy(), EXPECTED["eval_odd/feature"])


def test_a_training_step_equals_the_authors(method, probed, rules):
    images = normalised(rules, REFERENCE["input"]["shape"])
    step = method.train()(Batch(images, LABELS, LABELS, LABELS))
    step.loss.backward()

    for name, expected in EXPECTED.items():
        if name.startswith("train/") and expected.shape == (3,):
            assert_equal(probed[name.removeprefix("train/")], expected)
    assert len(step.parts) == 19
    assert_equal(float(step.loss.detach()), EXPECTED["loss/total"])
    for theirs, ours in LOSS_NAMES.items():
        assert_equal(float(step.parts[ours]), EXPECTED[f"loss/{theirs}"])

    ours = mdpr_to_authors(dict(method.network.named_parameters()))
    norms = {name: np.nan if weight.grad is None else float(weight.grad.norm()) for name, weight in ours.items()}
    assert sorted(norms) == sorted(REFERENCE["grad_parameters"])
    np.testing.assert_allclose(
        [norms[name] for name in REFERENCE["grad_parameters"]], EXPECTED["train/grad_norm"], rtol=1e-9, atol=1e-9
    )
    buffers = mdpr_to_authors(dict(method.network.named_buffers()))
    assert_equal([float(buffers[name].norm()) for name in REFERENCE["updated_buffers"]], EXPECTED["train/buffer_norm"])
