"""MSKD's loss: contrast and mimicry of the whole image and of its parts, weighed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.losses.cluster_memory import ClusterMemoryLoss
from pipeline.losses.feature_mimicry import FeatureMimicryLoss

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
