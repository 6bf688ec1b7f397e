"""Maps of several heads -> one map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.backbones.resnet import init_convolutions


class FusionBlock(nn.Module):
    """1x1 and 3x3 convolution, batch normalisation and ReLU; as many channels as come in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv3 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        init_convolutions(self)

    def forward(self, *maps: Tensor) -> Tensor:
        """Returns the fusion of ``maps`` joined along their channels."""
        return self.bn(self.conv3(self.conv1(torch.cat(maps, dim=1)))).relu()


class Fusion(nn.Module):
    """The embedded maps of both branches, ``[B, D, h, w]`` each -> one map ``[B, 4 D, h, w]``."""

    def __init__(self, embedding_dim: int) -> None:
        super().__init__()
        self.parts = FusionBlock(embedding_dim)
        self.hard = FusionBlock(2 * embedding_dim)
        self.soft = FusionBlock(2 * embedding_dim)
        self.joint = FusionBlock(4 * embedding_dim)

    def forward(self, maps: dict[str, Tensor]) -> Tensor:
        """Returns the fused map of all heads' maps; the stripes are put together again."""
        whole = torch.cat([part for name, part in maps.items() if name.startswith("hard_part_")], dim=2)
        hard = self.hard(self.parts(whole), maps["hard_global"])
        return self.joint(hard, self.soft(maps["attn4"], maps["attn3"]))
