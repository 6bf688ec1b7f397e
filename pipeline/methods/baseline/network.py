"""The strong baseline: one backbone, one vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pipeline.backbones.resnet import ResNet
from pipeline.layers.necks import BNNeck
from pipeline.layers.pooling import make_pool


@dataclass
class BaselineOutput:
    """``pooled``: before the neck ``[B, C]``. ``vector``: after it ``[B, C]``. ``logits``: ``[B, K]``."""

    pooled: Tensor
    vector: Tensor
    logits: Tensor


class BaselineNetwork(nn.Module):
    """Images ``[B, 3, H, W]`` (normalised) -> pooled map, BN-neck embedding and class scores.

    Source: Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-identification" (2019).
    Differs: the pooling is GeM or the mean.
    """

    def __init__(self, *, backbone: ResNet, pooling: Literal["gem", "average"], num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.architecture = backbone.architecture
        channels = backbone.channels[-1]
        self.pool = make_pool(pooling)
        self.neck = BNNeck(channels)
        self.classifier = nn.Linear(channels, num_classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def backbone_modules(self) -> list[tuple[str, nn.Module]]:
        """Returns the modules that start weights fill, each with its name in a ``ResNet``."""
        return list(self.backbone.named_children())

    def forward(self, images: Tensor) -> BaselineOutput:
        """Returns what the losses need."""
        pooled = self.pool(self.backbone(images))
        vector = self.neck(pooled)
        return BaselineOutput(pooled, vector, self.classifier(vector))

    def embed(self, images: Tensor) -> Tensor:
        """Returns the embeddings ``[B, C]`` that evaluation uses, those after the neck."""
        return self.neck(self.pool(self.backbone(images)))
