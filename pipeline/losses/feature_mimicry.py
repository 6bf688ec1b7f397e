"""A student that imitates its teacher's features."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class FeatureMimicryLoss(nn.Module):
    """Features of the same images by student and teacher, ``[B, D]`` each -> scalar.

    ``mean_b ||f_b / |f_b| - t_b / |t_b| ||^2``; the teacher gets no gradient.

    Source: tengxiao14/Purification_ReID de659b8, ``ClusterMemory.forward``.
    """

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Returns the loss of the batch."""
        gap = F.normalize(student, dim=1) - F.normalize(teacher.detach(), dim=1)
        return gap.square().sum(dim=1).mean()
