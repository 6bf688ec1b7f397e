"""Batch-hard triplet loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Margin = float | Literal["soft"]


class TripletLoss(nn.Module):
    """Embeddings ``[B, C]`` and labels ``[B]`` -> scalar.

    ``mean_i [d(i, p_i) - d(i, n_i) + margin]_+`` over the batch, with ``p_i`` the farthest image of the same
    identity (``i`` itself if it is alone), ``n_i`` the nearest of another one, and ``d`` the Euclidean
    distance of the embeddings as they come. With the margin "soft",
    ``mean_i log(1 + exp(d(i, p_i) - d(i, n_i)))``.
    An image without any negative in its batch adds 0.

    Source: Hermans et al., "In Defense of the Triplet Loss" (2017); fast-reid c9bc3ce, ``triplet_loss``.
    Differs: no margin of 0.3 where the soft margin overflows, because softplus doesn't.

    Raises:
        ValueError: for a margin that is neither above 0 nor "soft".
    """

    def __init__(self, *, margin: Margin) -> None:
        super().__init__()
        if margin != "soft" and not (isinstance(margin, int | float) and margin > 0):
            raise ValueError(f'margin: expected a number above 0, or "soft", got {margin!r}')
        self.margin = margin

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss of the batch."""
        distances = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
        is_same = labels[:, None] == labels[None, :]
        farthest = distances.masked_fill(~is_same, 0).max(dim=1).values
        nearest = distances.masked_fill(is_same, torch.inf).min(dim=1).values
        gap = farthest - nearest
        return F.softplus(gap).mean() if self.margin == "soft" else (gap + self.margin).relu().mean()
