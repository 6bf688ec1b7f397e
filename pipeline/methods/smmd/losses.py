"""The losses that AGW and SMMD alone use: weighted triplets, distillation of posteriors, prototypes."""

from __future__ import annotations

from typing import Literal, get_args

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
