"""Vectors -> embeddings and class scores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.layers.necks import BNNeck


@dataclass
class HeadOutput:
    """``vector``: embeddings after the neck ``[B, C]``. ``cosines``: to the class weights ``[B, K]``."""

    vector: Tensor
    cosines: Tensor


class CosineClassifier(nn.Module):
    """Vectors ``[B, C]`` -> their cosines to K class weights ``[B, K]``, which start at N(0, .01)."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, channels))
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, vectors: Tensor) -> Tensor:
        """Returns the cosines, not rounded by autocast: losses multiply them by up to 64."""
        with torch.autocast(vectors.device.type, enabled=False):
            return F.linear(F.normalize(vectors), F.normalize(self.weight))


class EmbeddingHead(nn.Module):
    """Pooling, BN neck and cosine classifier: maps ``[B, C, H, W]`` -> embeddings and cosines.

    ``pool``: the pooling layer; ``nn.Identity()`` where vectors ``[B, C]`` come in.
    """

    def __init__(self, channels: int, num_classes: int, *, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.neck = BNNeck(channels)
        self.classifier = CosineClassifier(channels, num_classes)

    def forward(self, maps: Tensor) -> HeadOutput:
        """Returns embeddings and cosines to the class weights."""
        vector = self.embed(maps)
        return HeadOutput(vector, self.classifier(vector))

    def embed(self, maps: Tensor) -> Tensor:
        """Returns the embeddings alone."""
        return self.neck(self.pool(maps))
