"""Maps -> vectors."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Pooling = Literal["gem", "average"]


class AveragePool(nn.Module):
    """The mean over all positions: ``[B, C, H, W]`` -> ``[B, C]``, summed in float32 or more."""

    def forward(self, maps: Tensor) -> Tensor:
        """Returns one vector for each map."""
        return maps.to(torch.promote_types(maps.dtype, torch.float32)).mean(dim=(2, 3))


class GeMPool(nn.Module):
    """The generalised mean over all positions: ``[B, C, H, W]`` -> ``[B, C]``, in float32 or more.

    ``(mean of max(x, 1e-6) ** p) ** (1 / p)`` with one learnable ``p``, 3 at the start; 1 is the mean,
    infinity the maximum.

    Source: Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human Annotation" (2018).
    """

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.full((1,), 3.0))

    def forward(self, maps: Tensor) -> Tensor:
        """Returns one vector for each map."""
        maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
        return maps.clamp(min=1e-6).pow(self.p).mean(dim=(2, 3)).pow(1 / self.p)


class FixedGeMPool(nn.Module):
    """The generalised mean with p = 3 over all positions: ``[B, C, H, W]`` -> ``[B, C]``, in float32 or more.

    ``(mean of x ** 3 + 1e-12) ** (1 / 3)``: no parameter, and 1e-4 where a map is zero.

    Source: Cross-Modal-Re-ID-baseline e817a26, ``embed_net`` with ``gm_pool``.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Returns one vector for each map, none of whose numbers may be negative."""
        maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
        return (maps.pow(3).mean(dim=(2, 3)) + 1e-12).pow(1 / 3)


def make_pool(kind: Pooling) -> nn.Module:
    """Returns the pooling layer of that name.

    Raises:
        ValueError: for an unknown name.
    """
    match kind:
        case "gem":
            return GeMPool()
        case "average":
            return AveragePool()
    raise ValueError(f"pooling: expected 'gem' or 'average', got {kind!r}")
