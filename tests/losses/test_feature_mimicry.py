import torch

from pipeline.losses.feature_mimicry import FeatureMimicryLoss


def pair():
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 5, 7, generator=generator, dtype=torch.float64)
    return student.requires_grad_(), teacher.requires_grad_()


def test_is_the_mean_squared_distance_of_the_directions():
    student, teacher = pair()
    total = 0.0
    for own, shown in zip(student.detach(), teacher.detach(), strict=True):
        total += float(((own / own.norm() - shown / shown.norm()) ** 2).sum())
    torch.testing.assert_close(float(FeatureMimicryLoss()(student, teacher).detach()), total / 5)


def test_lengths_do_not_matter():
    student, teacher = pair()
    loss = FeatureMimicryLoss()
    torch.testing.assert_close(loss(3 * student, 0.1 * teacher), loss(student, teacher))


def test_an_equal_student_costs_nothing():
    student, _ = pair()
    assert float(FeatureMimicryLoss()(student, student).detach()) == 0


def test_the_gradient_is_right_and_the_teacher_gets_none():
    student, teacher = pair()
    assert torch.autograd.gradcheck(lambda x: FeatureMimicryLoss()(x, teacher.detach()), student)
    loss = FeatureMimicryLoss()(student, teacher)
    assert torch.autograd.grad(loss, teacher, allow_unused=True) == (None,)
