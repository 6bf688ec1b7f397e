"""MSKD's network: one trunk seen as a whole and in horizontal parts, each view with its own pool and neck."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.backbones.resnet import ResNet
from pipeline.layers.necks import BNNeck
from pipeline.layers.pooling import Pooling, make_pool

Stripes = Literal[0, 2, 3]
VIEWS: dict[int, tuple[str, ...]] = {
    0: ("global",),
    2: ("global", "upper", "lower"),
    3: ("global", "upper", "middle", "lower"),
}
"""The views of an image, in their order, by the number of stripes."""


class MSKDNetwork(nn.Module):
    """Images ``[B, 3, H, W]`` (normalised) -> unit vectors ``[V, B, C]``, one per view, the global one first.

    ``stripes``: 2 are the paper's halves, 0 leaves the global view alone, 3 is an ablation. ``views``: the names of
    the V views. Each view is pooled, by ``gem`` with an exponent of its own or by the ``average``, batch-normalised and
    divided by its length.

    Source: "Learning to Purification for Unsupervised Person Re-identification" (arXiv 2204.09931);
    tengxiao14/Purification_ReID de659b8, ``models/resnet.py``. Without stripes: Cluster Contrast
    (alibaba/cluster-contrast-reid 57b62e9).

    Raises:
        ValueError: for another number of stripes.
    """

    def __init__(self, *, backbone: ResNet, pooling: Pooling, stripes: Stripes) -> None:
        super().__init__()
        if stripes not in VIEWS:
            raise ValueError(f"stripes: expected {', '.join(map(str, VIEWS))}, got {stripes}")
        self.backbone = backbone
        self.architecture = backbone.architecture
        self.stripes = stripes
        self.views = VIEWS[stripes]
        self.pools = nn.ModuleDict({view: make_pool(pooling) for view in self.views})
        self.necks = nn.ModuleDict({view: BNNeck(backbone.channels[-1]) for view in self.views})

    def backbone_modules(self) -> list[tuple[str, nn.Module]]:
        """Returns the modules that start weights fill, each with its name in a ``ResNet``."""
        return list(self.backbone.named_children())

    def forward(self, images: Tensor) -> Tensor:
        """Returns all views ``[V, B, C]``, float32 or more."""
        maps = self.backbone(images)
        shown = [maps, *cut_equally(maps, self.stripes)]
        return torch.stack([self._view(view, part) for view, part in zip(self.views, shown, strict=True)])

    def embed(self, images: Tensor) -> Tensor:
        """Returns the test feature ``[B, C]``: the global view."""
        return self._view("global", self.backbone(images))

    def embed_views(self, images: Tensor) -> Tensor:
        """Returns all views side by side, ``[B, V * C]``, as ``split_views`` takes them apart."""
        return self.forward(images).transpose(0, 1).flatten(1)  # not what torch.compile may have made of it

    def _view(self, view: str, maps: Tensor) -> Tensor:
        return F.normalize(self.necks[view](self.pools[view](maps)), dim=1)


def cut_equally(maps: Tensor, count: int) -> list[Tensor]:
    """Returns ``count`` stripes of ``maps`` ``[B, C, H, W]``, each ``H // count`` rows high, from top to bottom.

    The rows that are left over at the bottom are in none of them.

    Raises:
        ValueError: when there are fewer rows than stripes.
    """
    rows = maps.shape[2]
    if rows < count:
        raise ValueError(f"stripes: expected at most {rows}, the rows of the map, got {count}; use higher images")
    return list(maps.split(rows // count, dim=2)[:count]) if count else []


def split_views(embeddings: Tensor, views: int) -> Tensor:
    """Returns ``[V, N, C]`` from all ``views`` side by side, ``[N, V * C]``."""
    return embeddings.unflatten(1, (views, -1)).transpose(0, 1)
