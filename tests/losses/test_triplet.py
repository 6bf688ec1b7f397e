import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.losses.triplet import TripletLoss


@pytest.mark.parametrize("margin", [0.05, 0.3, "soft"])
def test_equals_the_reference_with_gradients(golden, margin):
    features = golden.trained("features")
    loss = TripletLoss(margin=margin)(features, golden["labels"])
    golden.assert_equal(f"triplet_hard_margin{0.0 if margin == 'soft' else margin}", loss, features=features)


@settings(max_examples=25, deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=2, max_size=9),
    margin=st.sampled_from(["soft", 0.3]),
    seed=st.integers(0, 99),
)
def test_equals_a_loop_over_all_triplets(labels, margin, seed):
    points = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    total = 0.0
    for i, own in enumerate(labels):
        distances = [math.dist(points[i].tolist(), point) for point in points.tolist()]
        farthest = max(distance for distance, label in zip(distances, labels, strict=True) if label == own)
        others = [distance for distance, label in zip(distances, labels, strict=True) if label != own]
        if others:
            gap = farthest - min(others)
            total += math.log1p(math.exp(gap)) if margin == "soft" else max(0.0, gap + margin)
    loss = TripletLoss(margin=margin)(points, torch.tensor(labels))
    assert float(loss) == pytest.approx(total / len(labels), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("margin", ["soft", 0.3])
def test_equal_embeddings_give_a_finite_gradient(margin):
    embeddings = torch.zeros(4, 3, requires_grad=True)
    TripletLoss(margin=margin)(embeddings, torch.tensor([0, 0, 1, 1])).backward()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


@pytest.mark.parametrize("margin", ["soft", 0.3])
def test_a_batch_of_one_identity_gives_zero_and_a_zero_gradient(margin):
    embeddings = torch.randn(3, 2, requires_grad=True)
    loss = TripletLoss(margin=margin)(embeddings, torch.tensor([5, 5, 5]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not embeddings.grad.any()


def test_the_soft_margin_does_not_overflow():
    embeddings = torch.tensor([[0.0], [1e6], [1.0], [2.0]])
    assert TripletLoss(margin="soft")(embeddings, torch.tensor([0, 0, 1, 1])).isfinite()


@pytest.mark.parametrize("margin", [-1, 0.0, None, "hard"])
def test_what_is_no_margin_is_an_error(margin):
    with pytest.raises(ValueError, match=f'a number above 0, or "soft", got {margin!r}'):
        TripletLoss(margin=margin)
