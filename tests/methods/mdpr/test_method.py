import numpy as np
import pytest
import torch

from pipeline.batches.loading import Batch
from pipeline.methods.mdpr.method import MDPR, MDPRParams

BACKBONE = {"depth": 18, "width": 0.125, "ibn": True, "last_stride": 1, "stem_pool": "padded"}
WHOLE = {
    "backbone": BACKBONE,
    "embedding_dim": 8,
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
    "features": ["hard_global"],
    "batch": {"groups": 2, "identities": 2, "images": 3},
}
HARD_ONLY = {"soft": False, "bap_heads": False, "diversity": False, "distillation": "none", "fusion": False}
SOFT_ONLY = {"hard_global": False, "part_num": 0, "distillation": "none", "fusion": False, "features": ["attn4"]}
ABLATIONS = {
    "A0": HARD_ONLY | {"part_num": 0},
    "A1": HARD_ONLY,
    "A2": SOFT_ONLY,
    "A2 without attention": SOFT_ONLY | {"bap_heads": False, "diversity": False},
    "A2 without heads": SOFT_ONLY | {"bap_heads": False},
    "A2 without diversity": SOFT_ONLY | {"diversity": False},
    "A3": {"distillation": "none", "fusion": False},
    "A4": {"fusion": False},
    "A5": {"distillation": "none"},
    "A6": {},
    **{f"{count} stripes": {"part_num": count} for count in (1, 3, 4, 6)},
    **{f"{count} maps": {"attn_num": count} for count in (1, 4, 8)},
    "unguided": {"attn_guided": False},
    **{f"weight {weight}": {"foreground_weight": weight} for weight in (0.0, 1e-4, 1e-2)},
    **{form: {"distillation": form} for form in ("cosine", "mse", "logit_kl")},
    "plain backbone": {"backbone": BACKBONE | {"ibn": False}},
    "other stem": {"backbone": BACKBONE | {"stem_pool": "ceil"}},
    "embedding_dim": {"embedding_dim": 16},
    "scale": {"scale": 32.0},
    "margin": {"margin": 0.25},
    "smoothing": {"smoothing": 0.0},
    "triplet_margin": {"triplet_margin": 0.3},
}
NUM_TERMS = {"A0": 2, "A1": 6, "A2": 10, "A2 without attention": 4, "A2 without heads": 8, "A2 without diversity": 6}
NUM_TERMS |= {"A3": 16, "A4": 17, "A5": 18, "A6": 19}
LABELS = torch.tensor([0, 0, 0, 1, 1, 1])
IMAGES = torch.randn(6, 3, 192, 64, generator=torch.Generator().manual_seed(0))
BATCH = Batch(IMAGES, LABELS, LABELS, LABELS)


def mdpr(changes, seed=0, height=192):
    return MDPR(MDPRParams.model_validate(WHOLE | changes), num_classes=4, height=height, width=64, seed=seed)


def step(changes):
    """A method with the whole one's weights wherever it has the same, after one step."""
    method, whole = mdpr(changes), mdpr({}).network.state_dict()
    own = method.network.state_dict()
    same = {name: value for name, value in whole.items() if name in own and own[name].shape == value.shape}
    method.network.load_state_dict(own | same)
    output = method(BATCH)
    output.loss.backward()
    return method, output


@pytest.fixture(scope="module")
def whole():
    method, output = step({})
    return output.loss.item(), method.network.shared.conv1.weight.grad


@pytest.mark.parametrize("name", ABLATIONS)
def test_each_switch_trains_all_that_it_builds_and_changes_the_loss(name, whole):
    method, output = step(ABLATIONS[name])
    assert all(weight.grad is not None for weight in method.network.parameters() if weight.requires_grad)
    torch.testing.assert_close(output.loss.detach(), sum(output.parts.values()))
    assert len(output.parts) == NUM_TERMS.get(name, len(output.parts))
    loss, gradient = whole
    same = output.loss.item() == loss and torch.equal(method.network.shared.conv1.weight.grad, gradient)
    assert same == (name == "A6")


def test_the_paper_has_nineteen_terms():
    assert sorted(mdpr({})(BATCH).parts) == sorted(
        [
            *(f"{head}/identity" for head in ("hard_global", "hard_part_0", "hard_part_1", "attn4", "attn3", "fusion")),
            *(f"{head}/triplet" for head in ("hard_global", "hard_part_0", "hard_part_1", "attn4", "attn3", "fusion")),
            *("bap4/identity", "bap3/identity", "attn4/diversity", "attn3/diversity"),
            *("attn4/foreground", "attn3/foreground", "mutual_distillation"),
        ]
    )


def test_mutual_distillation_stops_at_the_targets():
    method = mdpr({})
    output = method.network(IMAGES)
    term = method.terms(output, LABELS)["mutual_distillation"]
    hard, soft = output.heads["hard_global"].vector, output.heads["attn4"].vector
    fixed = torch.nn.functional.cosine_similarity(output.predictions[0], soft.detach()).mean()
    only_first = torch.autograd.grad(-0.5 * fixed, hard, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(term, hard)[0], only_first)


def test_features_choose_the_embedding():
    every = ["hard_global", "hard_parts", "attn4", "attn3", "fusion"]
    with torch.no_grad():
        sizes = [
            mdpr({"features": features}).embedder()(IMAGES).shape[1]
            for features in (["hard_global"], ["hard_parts"], ["attn4", "attn3"], every)
        ]
    assert sizes == [8, 16, 16, 72]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"part_num": 5}, "5 stripes do not divide the 12 rows .* 192 pixels .* one of 1, 2, 3, 4, 6, 12"),
        ({"features": ["bap4"]}, "expected some of .* got bap4"),
        (HARD_ONLY | {"distillation": "mse"}, "distillation needs hard_global and soft"),
        (HARD_ONLY | {"diversity": True}, "attention needs soft"),
    ],
)
def test_what_does_not_go_together_is_an_error(changes, message):
    with pytest.raises(ValueError, match=message):
        mdpr(changes)


def test_the_seed_alone_fills_the_network():
    torch.manual_seed(1)
    first = mdpr({}, seed=5).network.state_dict()
    torch.manual_seed(2)
    second = mdpr({}, seed=5).network.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_batches_have_the_shape_of_the_groups():
    (rows, *_) = mdpr({}).batches(np.repeat(np.arange(4), 6), epoch=0)
    assert rows.shape == (2, 6)


def test_half_precision_gives_a_finite_loss_in_float32():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = mdpr({})(BATCH).loss
    assert loss.dtype == torch.float32
    assert loss.isfinite()
