import pytest
import torch

from pipeline.methods.smmd.losses import ModalityDistillationLoss, soften

LABELS = torch.tensor([4, 4, 1, 4, 4, 4, 1, 2])
IS_INFRARED = torch.tensor([False, False, False, True, True, True, True, True])
POSTERIORS = soften(torch.randn(8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64), 2.0)


def kl(teacher, student):
    return 4 * (teacher * (teacher / student).log()).sum()


def by_hand(level, direction):
    total = 0.0
    for label in (4, 1):  # 2 is infrared only
        visible, infrared = (POSTERIORS[(label == LABELS) & side] for side in (~IS_INFRARED, IS_INFRARED))
        for name, teachers, students in (("from_visible", visible, infrared), ("from_infrared", infrared, visible)):
            if direction in ("both", name):
                pupils = students if level == "instance" else students.mean(0, keepdim=True)
                total += sum(kl(teachers.mean(0), pupil) for pupil in pupils) / len(pupils)
    return total / 2


@pytest.mark.parametrize("level", ["instance", "person"])
@pytest.mark.parametrize("direction", ["both", "from_visible", "from_infrared"])
def test_it_is_the_equation(level, direction):
    loss = ModalityDistillationLoss(level=level, direction=direction, temperature=2.0)
    torch.testing.assert_close(loss(POSTERIORS, LABELS, IS_INFRARED), by_hand(level, direction))


@pytest.mark.parametrize(("direction", "taught"), [("from_visible", IS_INFRARED), ("from_infrared", ~IS_INFRARED)])
def test_only_the_taught_modality_learns(direction, taught):
    posteriors = POSTERIORS.clone().requires_grad_()
    ModalityDistillationLoss(level="person", direction=direction, temperature=2.0)(
        posteriors, LABELS, IS_INFRARED
    ).backward()
    learned = (posteriors.grad != 0).any(dim=1)
    torch.testing.assert_close(learned, taught & (LABELS != 2))


def test_a_batch_of_one_modality_teaches_nothing():
    loss = ModalityDistillationLoss(level="person", direction="both", temperature=2.0)
    assert loss(POSTERIORS, LABELS, torch.zeros(8, dtype=torch.bool)) == 0


@pytest.mark.parametrize("wrong", [{"level": "pair"}, {"direction": "none"}])
def test_an_unknown_choice_is_an_error(wrong):
    with pytest.raises(ValueError, match="expected one of"):
        ModalityDistillationLoss(**{"level": "person", "direction": "both", "temperature": 1.0, **wrong})
