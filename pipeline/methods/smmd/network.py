"""One network for visible and infrared images: a stem for each, then a shared trunk."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from pipeline.backbones.resnet import ResNet
from pipeline.layers.necks import BNNeck
from pipeline.layers.pooling import AveragePool, FixedGeMPool
from pipeline.methods.smmd.non_local import NonLocal

LAYERS = ("layer1", "layer2", "layer3", "layer4")


@dataclass
class TwoStreamOutput:
    """``pooled``: before the neck ``[B, C]``. ``vector``: after it ``[B, C]``. ``logits``: ``[B, K]``."""

    pooled: Tensor
    vector: Tensor
    logits: Tensor


class Stem(nn.Module):
    """The first convolution of a ResNet up to its pooling: ``[B, 3, H, W]`` -> ``[B, C, H/4, W/4]``."""

    def __init__(self, backbone: ResNet) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu, self.maxpool = backbone.conv1, backbone.bn1, backbone.relu, backbone.maxpool

    def forward(self, images: Tensor) -> Tensor:
        """Returns the map before ``layer1``."""
        return self.maxpool(self.relu(self.bn1(self.conv1(images))))


class TwoStreamNetwork(nn.Module):
    """Images ``[B, 3, H, W]`` (normalised) and ``is_infrared [B]`` -> pooled map, BN-neck vector and class scores.

    Both stems start alike. ``non_local`` counts the non-local blocks of layers 1 to 4: they follow the last residual
    blocks of their layer, one each; AGW has (0, 2, 3, 0), its plain baseline none. ``pooling``: ``average``, or ``gem``
    with p = 3 fixed. The neck's weight starts at N(1, .01).

    Source: Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook" (TPAMI 2021), AGW for visible
    and infrared images; Cross-Modal-Re-ID-baseline e817a26, ``embed_net``.
    Differs: the parts of the three ResNets there that no image passes are not built.

    Raises:
        ValueError: for more non-local than residual blocks in a layer.
    """

    def __init__(
        self,
        *,
        backbone: ResNet,
        pooling: Literal["gem", "average"],
        non_local: Sequence[int],
        num_classes: int,
    ) -> None:
        super().__init__()
        self.architecture = backbone.architecture
        self.visible = Stem(backbone)
        self.infrared = copy.deepcopy(self.visible)
        layers = {name: getattr(backbone, name) for name in LAYERS}
        channels = backbone.channels[-1]
        attentions = {}
        for (name, blocks), count, halvings in zip(layers.items(), non_local, (3, 2, 1, 0), strict=True):
            if count > len(blocks):
                raise ValueError(f"non_local: {count} blocks for {name}, which has {len(blocks)} residual blocks")
            attentions[name] = nn.ModuleList(NonLocal(channels >> halvings) for _ in range(count))
        self.trunk, self.non_local = nn.ModuleDict(layers), nn.ModuleDict(attentions)
        self.pool = FixedGeMPool() if pooling == "gem" else AveragePool()
        self.neck = BNNeck(channels)
        nn.init.normal_(self.neck.weight, mean=1.0, std=0.01)
        self.classifier = nn.Linear(channels, num_classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def backbone_modules(self) -> list[tuple[str, nn.Module]]:
        """Returns the modules that start weights fill, each with its name in a ``ResNet``; stems take the same."""
        both = (self.visible, self.infrared)
        return [*(("conv1", stem.conv1) for stem in both), *(("bn1", stem.bn1) for stem in both), *self.trunk.items()]

    def pooled(self, images: Tensor, is_infrared: Tensor, num_infrared: int | None = None) -> Tensor:
        """Returns the pooled maps ``[B, C]``."""
        maps = self._stems(images, is_infrared, num_infrared)
        for name in LAYERS:
            blocks, attentions = cast(nn.Sequential, self.trunk[name]), cast(nn.ModuleList, self.non_local[name])
            for place, block in enumerate(blocks, start=len(attentions) - len(blocks)):
                maps = block(maps)
                if place >= 0:
                    maps = attentions[place](maps)
        return self.pool(maps)

    def _stems(self, images: Tensor, is_infrared: Tensor, num_infrared: int | None) -> Tensor:
        """Returns each image's map by the stem of its modality, in the order of the images."""
        if torch.compiler.is_exporting():  # no graph can depend on how many are infrared: both stems see all images
            return torch.where(is_infrared.view(-1, 1, 1, 1), self.infrared(images), self.visible(images))
        count = int(is_infrared.sum()) if num_infrared is None else num_infrared
        order = is_infrared.byte().argsort(stable=True)
        sides = zip(order.split([len(order) - count, count]), (self.visible, self.infrared), strict=True)
        maps = torch.cat([stem(images[rows]) for rows, stem in sides if len(rows)])
        return maps[order.argsort()]

    def forward(self, images: Tensor, is_infrared: Tensor, num_infrared: int | None = None) -> TwoStreamOutput:
        """Returns what the losses need; ``num_infrared``, where it is known, spares a wait for the device."""
        pooled = self.pooled(images, is_infrared, num_infrared)
        vector = self.neck(pooled)
        return TwoStreamOutput(pooled, vector, self.classifier(vector))

    def embed(self, images: Tensor, is_infrared: Tensor) -> Tensor:
        """Returns the embeddings ``[B, C]`` that evaluation uses, those after the neck."""
        return self.neck(self.pooled(images, is_infrared))
