"""Weighted regularised triplet loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FLOOR = 1e-6  # added to a sum of weights, by the reference's definition


class WeightedTripletLoss(nn.Module):
    """Embeddings ``[B, C]`` and labels ``[B]`` -> scalar, without a margin.

    ``mean_i log(1 + exp(p_i - n_i))``: ``p_i`` is the mean distance of image ``i`` to the images of its identity
    (itself among them), weighted by ``exp(d)``, ``n_i`` that to all others, weighted by ``exp(-d)``; ``d`` is the
    Euclidean distance of the embeddings as they come.

    Source: Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook" (TPAMI 2021), the weighted
    regularised triplet; Cross-Modal-Re-ID-baseline e817a26, ``TripletLoss_WRT``. As there, weights are divided by their
    sum plus 1e-6, positives after the largest was made 1. Hence ``n_i`` fades to 0 where all negatives lie beyond 14,
    and embeddings of unit length, or a small scale, are what the loss is for.
    Differs: softplus in place of ``log(1 + exp)``, which is infinite in float32 from 89 on.
    """

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss of the batch."""
        distances = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
        is_same = labels[:, None] == labels[None, :]
        farthest = distances.masked_fill(~is_same, 0).max(dim=1, keepdim=True).values
        positive = _weighted_mean(distances, (distances - farthest).masked_fill(~is_same, -torch.inf))
        negative = _weighted_mean(distances, (-distances).masked_fill(is_same, -torch.inf))
        return F.softplus(positive - negative).mean()


def _weighted_mean(distances: Tensor, exponents: Tensor) -> Tensor:
    weights = exponents.exp()
    return (distances * weights).sum(dim=1) / (weights.sum(dim=1) + FLOOR)
