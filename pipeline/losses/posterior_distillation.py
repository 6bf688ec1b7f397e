"""A teacher's class posterior for a student's."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def soften(logits: Tensor, temperature: float) -> Tensor:
    """Returns ``softmax(logits / temperature)`` over the last axis."""
    return F.softmax(logits / temperature, dim=-1)


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """Returns ``temperature^2 KL(teacher || student)`` of probabilities ``[B, K]``, for each row: ``[B]``.

    The teacher gets no gradient. The square keeps gradients as large as those of the hard labels.

    Source: Hinton et al., "Distilling the Knowledge in a Neural Network" (2015), section 2.
    """
    tiny = torch.finfo(student.dtype).tiny
    teacher = teacher.detach()
    gap = teacher.clamp(min=tiny).log() - student.clamp(min=tiny).log()
    return temperature**2 * (teacher * gap).sum(dim=-1)
