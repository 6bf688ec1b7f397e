import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pipeline.methods.mdpr.losses import CircleSoftmaxLoss


def test_equals_the_reference_with_gradients(golden):
    features, weight = golden.trained("features"), golden.trained("classifier_weight")
    cosines = F.linear(F.normalize(features), F.normalize(weight))
    loss = CircleSoftmaxLoss(scale=64, margin=0.35, smoothing=0.1)
    torch.testing.assert_close(
        loss.logits(cosines, golden["labels"]), golden["circle_logits_s64_m0.35"], rtol=1e-9, atol=1e-12
    )
    golden.assert_equal(
        "circle_ce_smooth0.1", loss(cosines, golden["labels"]), features=features, classifier_weight=weight
    )


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1, 128), margin=st.floats(0, 0.9), seed=st.integers(0, 1000))
def test_logits_follow_the_equation(scale, margin, seed):
    generator = torch.Generator().manual_seed(seed)
    cosines = torch.rand(4, 5, generator=generator, dtype=torch.float64) * 2 - 1
    labels = torch.randint(5, (4,), generator=generator)
    logits = CircleSoftmaxLoss(scale=scale, margin=margin, smoothing=0.1).logits(cosines, labels)
    for image in range(4):
        for k in range(5):
            s = float(cosines[image, k])
            if k == labels[image]:
                expected = scale * max(0, 1 + margin - s) * (s - (1 - margin))
            else:
                expected = scale * max(0, s + margin) * (s - margin)
            assert float(logits[image, k]) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_weighing_carries_no_gradient():
    cosines = torch.tensor([[0.5, 0.2]], requires_grad=True)
    logits = CircleSoftmaxLoss(scale=2, margin=0.25, smoothing=0.0).logits(cosines, torch.tensor([0]))
    (gradient,) = torch.autograd.grad(logits.sum(), cosines)
    torch.testing.assert_close(gradient, torch.tensor([[2 * 0.75, 2 * 0.45]]))
