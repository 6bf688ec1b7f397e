import torch
from torch.nn import functional as F

from pipeline.methods.smmd.losses import divergence, soften

LOGITS = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_it_is_torchs_divergence_times_the_square_of_the_temperature():
    teacher, student = (soften(logits, 4.0) for logits in LOGITS)
    expected = 16 * F.kl_div(student.log(), teacher, reduction="none").sum(1)
    torch.testing.assert_close(divergence(teacher, student, 4.0), expected)


def test_equal_posteriors_have_none():
    teacher = soften(LOGITS[0], 1.0)
    torch.testing.assert_close(divergence(teacher, teacher, 1.0), torch.zeros(3, dtype=torch.float64))


def test_only_the_student_learns():
    teacher, student = LOGITS.clone().requires_grad_()
    teacher.retain_grad(), student.retain_grad()
    divergence(soften(teacher, 2.0), soften(student, 2.0), 2.0).sum().backward()
    assert teacher.grad is None
    assert student.grad.norm() > 0


def test_certain_posteriors_stay_finite():
    certain = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    loss = divergence(certain.flip(0), certain, 1.0).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(certain.grad).all()
