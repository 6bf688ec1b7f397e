"""The two modalities' posteriors of each person teach each other."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from pipeline.losses.posterior_distillation import divergence

Level = Literal["instance", "person"]
Direction = Literal["both", "from_visible", "from_infrared"]


class ModalityDistillationLoss(nn.Module):
    """Posteriors ``[B, K]``, labels and ``is_infrared`` ``[B]`` -> scalar.

    With ``q^m_y`` the mean posterior of person ``y``'s images of modality ``m`` in the batch, and KL from a teacher
    without gradient, times ``temperature`` squared:

    - "person": ``mean_y [KL(q^I_y || q^V_y) + KL(q^V_y || q^I_y)]``;
    - "instance": the same with each image's own posterior as student, averaged over the person's images.

    ``direction`` keeps both terms, or only the one whose teacher is the named modality. Persons that the batch shows in
    one modality only add nothing.

    Source: none published; a reconstruction of the mutual distillation of Zhang et al., "Self-Mimic
    Mutual-Distillation" (ICME 2022), of which the abstract alone is public.

    Raises:
        ValueError: for an unknown level or direction.
    """

    def __init__(self, *, level: Level, direction: Direction, temperature: float) -> None:
        super().__init__()
        for name, value, known in (("level", level, Level), ("direction", direction, Direction)):
            if value not in get_args(known):
                raise ValueError(f"{name}: expected one of {', '.join(get_args(known))}, got {value!r}")
        self.level, self.direction, self.temperature = level, direction, temperature

    def forward(self, posteriors: Tensor, labels: Tensor, is_infrared: Tensor) -> Tensor:
        """Returns the loss of the batch."""
        is_same = labels[:, None] == labels[None, :]
        shares = [(is_same & members).to(posteriors.dtype) for members in (~is_infrared, is_infrared)]
        counts = [share.sum(dim=1, keepdim=True) for share in shares]
        means = [share @ posteriors / count.clamp(min=1) for share, count in zip(shares, counts, strict=True)]
        has_both = ((counts[0] > 0) & (counts[1] > 0)).squeeze(1)
        num_persons = (has_both / is_same.sum(dim=1)).sum().clamp(min=1)
        total = posteriors.new_zeros(())
        for teacher, name in enumerate(("from_visible", "from_infrared")):
            if self.direction not in ("both", name):
                continue
            taught = has_both & (~is_infrared if teacher else is_infrared)
            student = posteriors if self.level == "instance" else means[1 - teacher]
            losses = divergence(means[teacher], student, self.temperature)
            total = total + torch.where(taught, losses / counts[1 - teacher].squeeze(1).clamp(min=1), 0).sum()
        return total / num_persons
