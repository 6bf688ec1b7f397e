"""Soft attention: maps that say where to look, and pooling under them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.backbones.resnet import init_convolutions
from pipeline.layers.necks import Projection
from pipeline.layers.pooling import GeMPool


class AttentionMaker(nn.Module):
    """``ReLU(BN(conv1x1 + conv3x3))``: ``[B, C, H, W]`` -> attention logits ``[B, M, H, W]``."""

    def __init__(self, channels: int, num_maps: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, num_maps, 1, bias=False)
        self.conv3 = nn.Conv2d(channels, num_maps, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(num_maps)
        init_convolutions(self)

    def forward(self, maps: Tensor) -> Tensor:
        """Returns attention logits, nowhere negative."""
        return self.bn(self.conv1(maps) + self.conv3(maps)).relu()


class TwoDepthAttention(nn.Module):
    """Attention at two depths of the same size -> M foreground maps of each, ``[B, M, H, W]``.

    A softmax over ``attn_num`` + 1 maps at each position, of which the last, the background, is dropped. If
    ``guided``, the deep logits, through a 1x1 convolution and ReLU, are seen beside the shallow map.

    Source: KuilongCui/MDPR 89d9737, ``Generate``.
    Differs: no bilinear up-sampling of the guide, because its scale there is 1.
    """

    def __init__(self, shallow_channels: int, deep_channels: int, *, attn_num: int, guided: bool) -> None:
        super().__init__()
        num_maps = attn_num + 1
        self.deep = AttentionMaker(deep_channels, num_maps)
        self.guide = nn.Conv2d(num_maps, num_maps, 1, bias=False) if guided else None
        self.shallow = AttentionMaker(shallow_channels + (num_maps if guided else 0), num_maps)
        init_convolutions(self)

    def forward(self, shallow: Tensor, deep: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the foreground maps of the shallow and of the deep features."""
        deep_logits = self.deep(deep)
        if self.guide is not None:
            shallow = torch.cat([shallow, self.guide(deep_logits).relu()], dim=1)
        return foreground(self.shallow(shallow)), foreground(deep_logits)


def foreground(logits: Tensor) -> Tensor:
    """Returns the softmax over the maps ``[B, M + 1, H, W]`` without its last, the background."""
    return logits.softmax(dim=1)[:, :-1]


class AttentionPool(nn.Module):
    """Maps ``[B, C, H, W]`` under attention ``[B, M, H, W]`` -> one vector for each map, ``[M, B, D]``.

    Each weighted map has a projection of its own; one GeM pools all of them ("bilinear attention pooling").
    """

    def __init__(self, channels: int, embedding_dim: int, *, attn_num: int) -> None:
        super().__init__()
        self.embed = nn.ModuleList(Projection(channels, embedding_dim) for _ in range(attn_num))
        self.pool = GeMPool()

    def forward(self, maps: Tensor, attention: Tensor) -> Tensor:
        """Returns the pooled vectors, map by map."""
        weights = attention.split(1, dim=1)
        return torch.stack([self.pool(embed(maps * weight)) for embed, weight in zip(self.embed, weights, strict=True)])
