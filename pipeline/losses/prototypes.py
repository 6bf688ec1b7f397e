"""One running vector for each identity and modality, and contrast against them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@torch.no_grad()
def update_prototypes(
    prototypes: Tensor, seen: Tensor, features: Tensor, labels: Tensor, is_infrared: Tensor, *, momentum: float
) -> None:
    """Moves ``prototypes`` ``[2, K, D]`` (visible, infrared) of the identities in a batch, in place.

    For each identity and modality of the batch, ``C <- momentum C + (1 - momentum) mean of its features``; at the first
    visit, which ``seen`` ``[2, K]`` records, ``C`` becomes the mean. Momentum 0 keeps the last batch's mean.

    ``features`` ``[B, D]``, ``labels`` and ``is_infrared`` ``[B]``: the whole global batch in its global order. Means
    are sums in float64 by a matrix product, so that all workers get the same.
    """
    for modality, members in enumerate((~is_infrared, is_infrared)):
        belongs = F.one_hot(labels, prototypes.shape[1]).T.double() * members
        counts = belongs.sum(dim=1, keepdim=True)
        means = (belongs @ features.double()) / counts.clamp(min=1)
        kept = momentum * seen[modality, :, None]
        moved = kept * prototypes[modality] + (1 - kept) * means
        prototypes[modality] = torch.where(counts > 0, moved.to(prototypes.dtype), prototypes[modality])
        seen[modality] |= counts.squeeze(1) > 0


class PrototypeContrastLoss(nn.Module):
    """Features ``[B, D]`` against the prototypes of their own modality -> scalar; pushes identities apart.

    ``mean_b -log softmax_j(<n(f_b), n(C_j)> / temperature)_{y_b}`` over the identities seen so far, with ``n`` division
    by the length; prototypes get no gradient. An image whose own prototype was never seen adds 0.

    Source: none published; a reconstruction of the "discriminative" prototypes of Zhang et al., "Self-Mimic
    Mutual-Distillation" (ICME 2022), of which the abstract alone is public.

    Raises:
        ValueError: for a temperature that isn't positive.
    """

    def __init__(self, *, temperature: float) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"contrast temperature: expected more than 0, got {temperature}")
        self.temperature = temperature

    def forward(
        self, features: Tensor, labels: Tensor, is_infrared: Tensor, prototypes: Tensor, seen: Tensor
    ) -> Tensor:
        """Returns the loss of the batch: ``prototypes`` ``[2, K, D]``, ``seen`` ``[2, K]``."""
        modality = is_infrared.long()
        similarities = similarities_to(features, prototypes)[modality, torch.arange(len(labels), device=labels.device)]
        similarities = (similarities / self.temperature).masked_fill(~seen[modality], -torch.inf)
        has_own = seen[modality, labels]
        similarities = torch.where(has_own[:, None], similarities, 0)
        losses = F.cross_entropy(similarities, labels, reduction="none")
        return (losses * has_own).sum() / len(labels)


def similarities_to(features: Tensor, prototypes: Tensor) -> Tensor:
    """Returns the cosines ``[2, B, K]`` of features ``[B, D]`` and prototypes ``[2, K, D]``, which get no gradient."""
    return F.normalize(features, dim=1) @ F.normalize(prototypes.detach(), dim=2).transpose(1, 2)
