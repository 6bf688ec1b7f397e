import pytest
import torch
from torch.nn import functional as F

from pipeline.methods.smmd.losses import PrototypeContrastLoss, update_prototypes

LABELS = torch.tensor([0, 0, 2, 0, 2])
IS_INFRARED = torch.tensor([False, False, False, True, True])


def features(seed, size=5):
    return torch.randn(size, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def blank():
    return torch.zeros(2, 3, 4, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.bool)


def test_the_first_visit_takes_the_mean_and_later_ones_move_towards_it():
    prototypes, seen = blank()
    first, second = features(0), features(1)
    update_prototypes(prototypes, seen, first, LABELS, IS_INFRARED, momentum=0.9)
    torch.testing.assert_close(prototypes[0, 0], first[:2].mean(0))
    torch.testing.assert_close(prototypes[1, 2], first[4])
    assert seen.tolist() == [[True, False, True], [True, False, True]]
    update_prototypes(prototypes, seen, second, LABELS, IS_INFRARED, momentum=0.9)
    torch.testing.assert_close(prototypes[0, 0], 0.9 * first[:2].mean(0) + 0.1 * second[:2].mean(0))


def test_identities_and_modalities_out_of_the_batch_stay():
    prototypes, seen = blank()
    prototypes += 7
    update_prototypes(prototypes, seen, features(0)[:3], LABELS[:3], IS_INFRARED[:3], momentum=0.9)
    assert (prototypes[1] == 7).all()
    assert (prototypes[0, 1] == 7).all()


def test_momentum_0_keeps_the_last_mean():
    prototypes, seen = blank()
    for seed in (0, 1):
        update_prototypes(prototypes, seen, features(seed), LABELS, IS_INFRARED, momentum=0.0)
    torch.testing.assert_close(prototypes[0, 0], features(1)[:2].mean(0))


def test_contrast_is_the_equation_over_seen_prototypes_of_the_own_modality():
    prototypes = torch.stack([features(2, 3), features(3, 3)])
    seen = torch.tensor([[True, False, True], [True, True, True]])
    images = features(4)
    expected = 0.0
    for image, label, modality in zip(images, LABELS, IS_INFRARED.long(), strict=True):
        there = seen[modality].nonzero().flatten()
        cosines = F.cosine_similarity(image[None], prototypes[modality, there])
        expected -= (cosines / 0.1).log_softmax(0)[there == label].item()
    loss = PrototypeContrastLoss(temperature=0.1)(images, LABELS, IS_INFRARED, prototypes, seen)
    assert loss.item() == pytest.approx(expected / 5)


def test_an_image_without_a_prototype_adds_nothing_and_its_gradient_is_finite():
    prototypes, seen = blank()
    images = features(0).requires_grad_()
    loss = PrototypeContrastLoss(temperature=0.1)(images, LABELS, IS_INFRARED, prototypes, seen)
    loss.backward()
    assert loss == 0
    assert torch.equal(images.grad, torch.zeros_like(images))


def test_contrast_moves_features_and_no_prototype():
    prototypes = torch.stack([features(2, 3), features(3, 3)]).requires_grad_()
    images = features(4).requires_grad_()
    seen = torch.ones(2, 3, dtype=torch.bool)
    PrototypeContrastLoss(temperature=0.1)(images, LABELS, IS_INFRARED, prototypes, seen).backward()
    assert prototypes.grad is None
    assert images.grad.norm() > 0


def test_a_temperature_that_is_not_positive_is_an_error():
    with pytest.raises(ValueError, match="more than 0, got 0"):
        PrototypeContrastLoss(temperature=0)
