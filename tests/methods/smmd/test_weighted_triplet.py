from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.methods.smmd.losses import WeightedTripletLoss

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "losses.npz")
LABELS = torch.tensor([0, 0, 0, 1, 1, 2])


def test_loss_and_gradient_equal_the_authors():
    features = torch.from_numpy(GOLDEN["wrt_features"]).requires_grad_()
    loss = WeightedTripletLoss()(features, torch.from_numpy(GOLDEN["wrt_labels"]))
    loss.backward()
    np.testing.assert_allclose(loss.item(), GOLDEN["wrt_loss"], rtol=1e-5)
    np.testing.assert_allclose(features.grad, GOLDEN["wrt_grad"], rtol=1e-4, atol=1e-7)


def by_hand(features, labels):
    distances = (features[:, None] - features[None]).square().sum(2).sqrt().numpy()
    total = 0.0
    for row, label in zip(distances, labels.tolist(), strict=True):
        same = labels.numpy() == label
        up = np.exp(row[same] - row[same].max())
        down = np.exp(-row[~same])
        positive = (row[same] * up).sum() / (up.sum() + 1e-6)
        negative = (row[~same] * down).sum() / (down.sum() + 1e-6)
        total += np.log1p(np.exp(positive - negative))
    return total / len(labels)


def test_it_is_the_equation():
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 4)))
    assert WeightedTripletLoss()(features, LABELS).item() == pytest.approx(by_hand(features, LABELS), rel=1e-12)


def test_it_is_finite_with_its_gradient_where_the_logarithm_of_an_exponential_is_not():
    features = (1000 * torch.randn(6, 4, generator=torch.Generator().manual_seed(0))).requires_grad_()
    loss = WeightedTripletLoss()(features, LABELS)
    loss.backward()
    assert loss > 89
    assert torch.isfinite(loss)
    assert torch.isfinite(features.grad).all()


def test_one_identity_alone_pulls_together():
    features = torch.tensor([[0.0], [1.0]], requires_grad=True)
    WeightedTripletLoss()(features, torch.zeros(2, dtype=torch.long)).backward()
    assert features.grad[0] < 0 < features.grad[1]
