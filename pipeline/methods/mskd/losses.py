"""The losses that MSKD alone uses: contrast with memories of clusters, and its sum over views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.batches.sending import send_together
from pipeline.losses.feature_mimicry import FeatureMimicryLoss


class ClusterMemoryLoss(nn.Module):
    """InfoNCE: features ``[B, D]`` and clusters ``[B]`` of images, and a memory ``[C, D]`` -> scalar.

    ``mean_b CE(f_b M^T / temperature, y_b)`` with every ``f`` divided by its length; the rows of ``memory`` are unit
    vectors and get no gradient. With a single cluster the loss is 0, and so is its gradient.

    Source: Dai et al., "Cluster Contrast for Unsupervised Person Re-Identification" (ACCV 2022), equation 3;
    alibaba/cluster-contrast-reid 57b62e9, ``ClusterMemory``.
    Differs: the memory is moved by ``update_memory`` after the step, not during the backward pass, because with
    several workers it must see the whole global batch in its global order.

    Raises:
        ValueError: for a temperature that isn't positive.
    """

    def __init__(self, *, temperature: float) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature: expected more than 0, got {temperature}")
        self.temperature = temperature

    def forward(self, features: Tensor, labels: Tensor, memory: Tensor) -> Tensor:
        """Returns the loss of the batch."""
        similarities = F.normalize(features, dim=1) @ memory.detach().T
        return F.cross_entropy(similarities / self.temperature, labels)


@torch.no_grad()
def update_memory(memory: Tensor, features: Tensor, labels: Tensor, *, momentum: float) -> None:
    """Moves ``memory`` ``[..., C, D]`` in place, image by image in the order of ``features`` ``[..., B, D]``.

    For each image, ``M[y] <- momentum M[y] + (1 - momentum) f``, then ``M[y]`` is divided by its length; ``f`` is
    the feature over its length, ``y`` its entry of ``labels`` ``[B]``, which are on the CPU. Leading axes are memories
    side by side. The clusters don't touch each other, so all first images of a cluster are taken at once, then all
    second ones: as many steps as the largest cluster has images in the batch.

    Source: alibaba/cluster-contrast-reid 57b62e9, ``CM.backward`` (a loop over the images there).
    """
    features = F.normalize(features, dim=-1).to(memory.dtype)
    order, counts = _by_occurrence(labels)
    sent = send_together({"images": order.numpy(), "clusters": labels[order].numpy()}, memory.device)
    for images, clusters in zip(sent["images"].split(counts), sent["clusters"].split(counts), strict=True):
        moved = momentum * memory[..., clusters, :] + (1 - momentum) * features[..., images, :]
        memory[..., clusters, :] = F.normalize(moved, dim=-1)


def _by_occurrence(labels: Tensor) -> tuple[Tensor, list[int]]:
    """Returns the positions of the first image of each label, then of the second ones, and so on; how many of each."""
    by_label = labels.argsort(stable=True)
    in_order = labels[by_label]
    occurrence = torch.arange(labels.numel()) - torch.searchsorted(in_order, in_order)
    return by_label[occurrence.argsort(stable=True)], occurrence.bincount().tolist()


def centroids(features: Tensor, labels: Tensor) -> Tensor:
    """Returns the memory at the start of an epoch: the mean of each cluster's ``features`` over its length.

    ``features`` ``[..., N, D]`` and ``labels`` ``[N]`` -> ``[..., C, D]``, summed in float64 in the order of the
    images. Labels are 0 to C - 1, and -1 for images that no cluster counts.

    Raises:
        ValueError: when there is no cluster, or a label below the largest has no image.
    """
    members = labels >= 0
    counts = labels[members].bincount()
    if counts.numel() == 0:
        raise ValueError("no cluster to take the mean of: every label is -1")
    if (counts == 0).any():
        empty = (counts == 0).nonzero().flatten()[:5].tolist()
        raise ValueError(f"labels: expected 0 to {counts.numel() - 1} without a gap, got none of {empty}")
    sums = features.new_zeros((*features.shape[:-2], counts.numel(), features.shape[-1]), dtype=torch.float64)
    sums.index_add_(-2, labels[members], features[..., members, :].double())
    return F.normalize(sums / counts[:, None], dim=-1).to(features.dtype)


MimickedViews = Literal["all", "global"]


class MultiViewLoss(nn.Module):
    """Views ``[V, B, D]``, clusters ``[B]`` and memories ``[V, C, D]`` -> scalar and its terms.

    ``sum_v w_v (L_v + mimicry_weight D_v)``, where ``L`` is ``ClusterMemoryLoss`` at ``temperature``, ``D`` is
    ``FeatureMimicryLoss`` against the teacher's views ``[V, B, D]`` (absent without a teacher), and ``w`` is
    ``1 - local_weight`` for the global view and ``local_weight`` for every other one. ``mimicked`` views: "all", or
    the "global" one alone. ``views``: the names of the V views, the global one first.

    Source: arXiv 2204.09931; tengxiao14/Purification_ReID de659b8, ``ClusterMemory_teacher`` and ``ClusterMemory``
    (``lambda2`` and ``mu`` there). "global" alone is ours, for an ablation.
    """

    def __init__(
        self,
        *,
        views: Sequence[str],
        temperature: float,
        local_weight: float,
        mimicry_weight: float,
        mimicked: MimickedViews,
    ) -> None:
        super().__init__()
        self.views = tuple(views)
        self.mimicked = self.views if mimicked == "all" else self.views[:1]
        self.local_weight = local_weight
        self.mimicry_weight = mimicry_weight
        self.contrast = ClusterMemoryLoss(temperature=temperature)
        self.mimicry = FeatureMimicryLoss()

    def forward(
        self, features: Tensor, labels: Tensor, memories: Tensor, teacher: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the loss of the batch, and its terms before they are weighed, as global/contrast."""
        terms: dict[str, Tensor] = {}
        weighed = []
        for index, view in enumerate(self.views):
            weight = self.local_weight if index else 1 - self.local_weight
            terms[f"{view}/contrast"] = self.contrast(features[index], labels, memories[index])
            weighed.append(weight * terms[f"{view}/contrast"])
            if teacher is not None and view in self.mimicked:
                terms[f"{view}/mimicry"] = self.mimicry(features[index], teacher[index])
                weighed.append(weight * self.mimicry_weight * terms[f"{view}/mimicry"])
        return torch.stack(weighed).sum(), terms
