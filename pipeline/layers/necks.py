"""Small blocks between a backbone and its heads."""

from __future__ import annotations

from torch import Tensor, nn

from pipeline.backbones.resnet import init_convolutions


class BNNeck(nn.BatchNorm1d):
    """Batch normalisation of vectors ``[B, C]`` whose shift stays zero, so that cosine and Euclid can agree.

    Source: Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-identification" (2019).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.bias.requires_grad_(False)


class Projection(nn.Module):
    """1x1 convolution without bias, batch normalisation and ReLU: ``[B, C, H, W]`` -> ``[B, D, H, W]``."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        init_convolutions(self)

    def forward(self, maps: Tensor) -> Tensor:
        """Returns the projected map, nowhere negative."""
        return self.bn(self.conv(maps)).relu()
