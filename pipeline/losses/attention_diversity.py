"""What keeps attention maps apart, and small."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AttentionDiversityLoss(nn.Module):
    """Vectors pooled under M attention maps ``[M, B, C]`` -> scalar; one map alone gives 0.

    ``sum over pairs m < n of mean_b cos(v_mb, v_nb)``: maps that pool the same thing cost.

    Source: KuilongCui/MDPR 89d9737, ``cross_catgory_loss``.
    """

    def forward(self, pooled: Tensor) -> Tensor:
        """Returns the loss of the batch."""
        vectors = F.normalize(pooled, dim=2)
        similarities = torch.einsum("mbc,nbc->mn", vectors, vectors) / pooled.shape[1]
        return similarities.triu(diagonal=1).sum()


class ForegroundMassLoss(nn.Module):
    """Attention maps of the foreground ``[B, M, H, W]`` -> scalar.

    ``weight / B * sum of all maps``: what isn't needed should go to the background.

    Source: KuilongCui/MDPR 89d9737, ``MDPR.forward`` (weight 0.001 there).
    """

    def __init__(self, *, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, maps: Tensor) -> Tensor:
        """Returns the loss of the batch."""
        return self.weight * maps.sum() / maps.shape[0]
