import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pipeline.losses.cross_entropy import SmoothedCrossEntropy


def test_equals_the_reference_with_gradients(golden):
    features, weight = golden.trained("features"), golden.trained("classifier_weight")
    loss = SmoothedCrossEntropy(smoothing=0.1)(features @ weight.T, golden["labels"])
    golden.assert_equal("linear_ce_smooth0.1", loss, features=features, classifier_weight=weight)


def test_without_smoothing_it_is_cross_entropy(golden):
    logits = golden["features"] @ golden["classifier_weight"].T
    loss = SmoothedCrossEntropy(smoothing=0.0)(logits, golden["labels"])
    torch.testing.assert_close(loss, F.cross_entropy(logits, golden["labels"]))


@settings(max_examples=25, deadline=None)
@given(smoothing=st.floats(0, 0.9), num_classes=st.integers(2, 9), seed=st.integers(0, 1000))
def test_equals_a_loop_over_images_and_classes(smoothing, num_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, num_classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(num_classes, (5,), generator=generator)
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        normaliser = math.log(sum(map(math.exp, row)))
        for k, logit in enumerate(row):
            share = 1 - smoothing if k == label else smoothing / (num_classes - 1)
            total -= share * (logit - normaliser)
    loss = SmoothedCrossEntropy(smoothing=smoothing)(logits, labels)
    assert float(loss) == pytest.approx(total / 5, rel=1e-9)


def test_images_whose_loss_is_zero_do_not_count():
    logits = torch.tensor([[2000.0, 0.0], [0.0, 0.0]])
    loss = SmoothedCrossEntropy(smoothing=0.0)(logits, torch.tensor([0, 0]))
    assert float(loss) == pytest.approx(math.log(2))


def test_a_batch_without_any_loss_gives_zero():
    loss = SmoothedCrossEntropy(smoothing=0.0)(torch.tensor([[2000.0, 0.0]]), torch.tensor([0]))
    assert float(loss) == 0


def test_one_class_is_an_error():
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        SmoothedCrossEntropy(smoothing=0.1)(torch.zeros(2, 1), torch.tensor([0, 0]))
