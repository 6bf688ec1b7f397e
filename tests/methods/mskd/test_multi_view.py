import pytest
import torch
from torch.nn import functional as F

from pipeline.losses.feature_mimicry import FeatureMimicryLoss
from pipeline.methods.mskd.losses import ClusterMemoryLoss, MultiViewLoss

VIEWS = ("global", "upper", "lower")
LABELS = torch.tensor([0, 3, 3, 1, 2])


def vectors(seed, *shape):
    return torch.randn(3, *shape, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


FEATURES, MEMORIES, TEACHER = vectors(0, 5), F.normalize(vectors(1, 4), dim=2), vectors(2, 5)


def build(views=VIEWS, local_weight=0.2, mimicry_weight=1.5, mimicked="all"):
    return MultiViewLoss(
        views=views, temperature=0.05, local_weight=local_weight, mimicry_weight=mimicry_weight, mimicked=mimicked
    )


def contrast(view):
    return ClusterMemoryLoss(temperature=0.05)(FEATURES[view], LABELS, MEMORIES[view])


def mimicry(view):
    return FeatureMimicryLoss()(FEATURES[view], TEACHER[view])


def test_a_teachers_loss_weighs_the_contrast_of_each_view():
    loss, terms = build()(FEATURES, LABELS, MEMORIES)
    torch.testing.assert_close(loss, 0.8 * contrast(0) + 0.2 * contrast(1) + 0.2 * contrast(2))
    assert terms == {f"{view}/contrast": contrast(index) for index, view in enumerate(VIEWS)}


def test_a_students_loss_adds_the_mimicry_of_each_view():
    loss, terms = build()(FEATURES, LABELS, MEMORIES, TEACHER)
    views = [contrast(view) + 1.5 * mimicry(view) for view in range(3)]
    torch.testing.assert_close(loss, 0.8 * views[0] + 0.2 * views[1] + 0.2 * views[2])
    assert [name for name in terms if name.endswith("mimicry")] == [f"{view}/mimicry" for view in VIEWS]
    assert terms["lower/mimicry"] == mimicry(2)


def test_the_global_view_alone_can_be_mimicked():
    loss, terms = build(mimicked="global")(FEATURES, LABELS, MEMORIES, TEACHER)
    expected = 0.8 * (contrast(0) + 1.5 * mimicry(0)) + 0.2 * contrast(1) + 0.2 * contrast(2)
    torch.testing.assert_close(loss, expected)
    assert [name for name in terms if name.endswith("mimicry")] == ["global/mimicry"]


def test_one_view_without_local_weight_is_cluster_contrast():
    loss, terms = build(VIEWS[:1], local_weight=0.0)(FEATURES[:1], LABELS, MEMORIES[:1])
    assert float(loss) == float(contrast(0))
    assert list(terms) == ["global/contrast"]


@pytest.mark.parametrize(
    "switch",
    [{"local_weight": 0.3}, {"mimicry_weight": 0.5}, {"mimicked": "global"}],
    ids=lambda switch: next(iter(switch)),
)
def test_every_switch_moves_the_gradient(switch):
    features = FEATURES.clone().requires_grad_()
    plain, moved = (
        torch.autograd.grad(build(**keywords)(features, LABELS, MEMORIES, TEACHER)[0], features)[0]
        for keywords in ({}, switch)
    )
    assert not torch.allclose(plain, moved)


def test_views_do_not_see_each_other():
    features = FEATURES.clone().requires_grad_()
    _, terms = build()(features, LABELS, MEMORIES, TEACHER)
    for index, view in enumerate(VIEWS):
        (gradient,) = torch.autograd.grad(terms[f"{view}/contrast"] + terms[f"{view}/mimicry"], features)
        assert [bool(rows.any()) for rows in gradient] == [other == index for other in range(3)]
