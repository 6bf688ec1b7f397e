import pytest
import torch

from pipeline.methods.mdpr.losses import MutualDistillationLoss


def pair(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True), torch.randn(shape, dtype=torch.float64)


def test_equals_the_reference_with_gradients(golden):
    p1, p2 = golden.trained("mutual_p1"), golden.trained("mutual_p2")
    vectors = golden["mutual_z1"], golden["mutual_z2"]
    loss = MutualDistillationLoss(form="predictor_cosine")(vectors, vectors, (p1, p2))
    golden.assert_equal("mutual_distillation", loss, p1=p1, p2=p2)


def test_the_other_forms_follow_their_equations():
    (a, b), (k, m) = pair(4, 3), pair(4, 5)
    cosine = ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).mean()
    p, q = k.softmax(1), m.softmax(1)
    divergence = ((p * (p / q).log()).sum(1) + (q * (q / p).log()).sum(1)).mean() / 2
    expected = {"cosine": -cosine, "mse": ((a - b) ** 2).mean(), "logit_kl": divergence}
    for form, value in expected.items():
        torch.testing.assert_close(MutualDistillationLoss(form=form)((a, b), (k, m), None), value)


def gradient_of(form, first, second):
    return torch.autograd.grad(MutualDistillationLoss(form=form)((first, second), (first, second), None), first)[0]


def test_targets_get_no_gradient():
    first, second = pair(4, 3)
    torch.testing.assert_close(gradient_of("mse", first, second), (first - second).detach() / first.numel())
    divergence = (first.softmax(1) - second.softmax(1)).detach() / (2 * len(first))
    torch.testing.assert_close(gradient_of("logit_kl", first, second), divergence)
    half = -0.5 * torch.nn.functional.cosine_similarity(first, second).mean()
    torch.testing.assert_close(gradient_of("cosine", first, second), torch.autograd.grad(half, first)[0])


def test_in_the_paper_form_vectors_get_no_gradient_but_through_predictions():
    vectors, predictions = pair(4, 3), pair(4, 3)
    loss = MutualDistillationLoss(form="predictor_cosine")(vectors, vectors, predictions)
    assert torch.autograd.grad(loss, vectors[0], allow_unused=True) == (None,)


def test_the_paper_form_needs_predictions():
    with pytest.raises(ValueError, match="build the network with predictors"):
        MutualDistillationLoss(form="predictor_cosine")(pair(2, 3), pair(2, 4), None)


def test_an_unknown_form_is_an_error():
    with pytest.raises(ValueError, match="got 'simsiam'"):
        MutualDistillationLoss(form="simsiam")
