"""Attention of every position to all others, as AGW puts it into a ResNet."""

from __future__ import annotations

from torch import Tensor, nn


class NonLocal(nn.Module):
    """Adds to each position what it gathers from all positions: ``[B, C, H, W]`` -> same.

    ``x + BN(W y)`` with ``y = theta(x) (phi(x)^T g(x)) / (H W)``, all four of them 1x1 convolutions with a shift. The
    normalisation starts at zero, so that the block starts as the identity.

    Source: Wang et al., "Non-local Neural Networks" (CVPR 2018), dot-product form; Cross-Modal-Re-ID-baseline e817a26,
    ``Non_local``, whose inner maps have one channel (``reduc_ratio // reduc_ratio``); so have ours.
    Differs: the product of the two right-hand factors is made first, which is the same in exact arithmetic and needs
    no ``[H W, H W]`` map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.theta, self.phi, self.g = (nn.Conv2d(channels, 1, 1) for _ in range(3))
        self.out = nn.Conv2d(1, channels, 1)
        self.bn = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.bn.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """Returns the maps with what was gathered."""
        gathered = (self.phi(maps) * self.g(maps)).mean(dim=(2, 3), keepdim=True)
        return maps + self.bn(self.out(self.theta(maps) * gathered))
