"""Residual networks as re-identification uses them: IBN-a, last stride 1, any width."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from pipeline.config import Record


def init_convolutions(module: nn.Module) -> None:
    """Fills every convolution below ``module`` from a Kaiming normal distribution in fan-out mode."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def count_outputs(size: int, *, kernel: int, stride: int, padding: int, ceil: bool = False) -> int:
    """Returns how many positions a sliding window takes along an axis of ``size`` pixels."""
    room = size + 2 * padding - kernel
    return (-(-room // stride) if ceil else room // stride) + 1


class IBN(nn.Module):
    """Normalises the first half of the channels per image, the second per batch: ``[B, C, H, W]`` -> same.

    Source: IBN-a of Pan et al., "Two at Once" (ECCV 2018); names as in XingangPan/IBN-Net.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.num_by_image = channels // 2
        self.IN = nn.InstanceNorm2d(self.num_by_image, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.num_by_image)

    def forward(self, maps: Tensor) -> Tensor:
        """Returns ``maps`` with both halves normalised."""
        is_last = not maps.is_contiguous() and maps.is_contiguous(memory_format=torch.channels_last)
        form = torch.channels_last if is_last else torch.contiguous_format  # instance normalisation undoes the former
        by_image, by_batch = maps[:, : self.num_by_image], maps[:, self.num_by_image :].contiguous(memory_format=form)
        return torch.cat([self.IN(by_image).contiguous(memory_format=form), self.BN(by_batch)], dim=1)


class Block(nn.Module, ABC):
    """What both residual blocks share: the shortcut, and an IBN-a or plain first normalisation.

    ``recomputes``: see ``recompute_blocks``.
    """

    expansion: ClassVar[int]
    recomputes = False

    def __init__(self, channels: int, planes: int, stride: int, ibn: bool) -> None:
        super().__init__()
        out = planes * self.expansion
        self.bn1 = IBN(planes) if ibn else nn.BatchNorm2d(planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))

    @abstractmethod
    def residual(self, maps: Tensor) -> Tensor:
        """Returns what the block adds to its shortcut."""

    def forward(self, maps: Tensor) -> Tensor:
        """Returns ``[B, planes * expansion, H / stride, W / stride]``."""
        if self.recomputes and self.training and torch.is_grad_enabled():
            return checkpoint(self._run, maps, use_reentrant=False, context_fn=self._contexts)
        return self._run(maps)

    def _run(self, maps: Tensor) -> Tensor:
        shortcut = maps if self.downsample is None else self.downsample(maps)
        return self.relu(self.residual(maps) + shortcut)

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Returns what surrounds the pass that is about to begin, and what its repetition."""
        layers = [layer for layer in self.modules() if isinstance(layer, _BatchNorm)]
        return nullcontext(), _again({layer: layer.track_running_stats for layer in layers})


@contextmanager
def _again(layers: dict[_BatchNorm, bool]) -> Iterator[None]:
    """Within it BatchNorm layers do what they did when they tracked statistics, or did not; theirs stay as they are.

    They work on copies: what autograd keeps of a pass must be alike in both, so that tracking can't just be off.
    """
    kept = [(layer, layer.track_running_stats, dict(layer.named_buffers(recurse=False))) for layer in layers]
    try:
        for layer, _, buffers in kept:
            layer.track_running_stats = layers[layer]
            for name, buffer in buffers.items():
                setattr(layer, name, buffer.clone())
        yield
    finally:
        for layer, is_tracking, buffers in kept:
            layer.track_running_stats = is_tracking
            for name, buffer in buffers.items():
                setattr(layer, name, buffer)


def recompute_blocks(network: nn.Module) -> None:
    """Makes all residual blocks of ``network`` keep only their input for the backward pass, and run again in it.

    So training takes less memory and more time, and computes the same: weights, losses and statistics to the bit
    wherever convolutions are repeatable, as on a CPU. Passes in evaluation mode or without gradient are as before.

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174).
    """
    for part in network.modules():
        if isinstance(part, Block):
            part.recomputes = True


class BasicBlock(Block):
    """Two 3x3 convolutions (He et al., 2016)."""

    expansion = 1

    def __init__(self, channels: int, planes: int, stride: int, ibn: bool) -> None:
        super().__init__(channels, planes, stride, ibn)
        self.conv1 = nn.Conv2d(channels, planes, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)

    def residual(self, maps: Tensor) -> Tensor:
        """Returns what the block adds to its shortcut."""
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(maps)))))


class Bottleneck(Block):
    """1x1, 3x3 and 1x1 convolutions, the stride in the middle (torchvision's version 1.5)."""

    expansion = 4

    def __init__(self, channels: int, planes: int, stride: int, ibn: bool) -> None:
        super().__init__(channels, planes, stride, ibn)
        out = planes * self.expansion
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.conv3 = nn.Conv2d(planes, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)

    def residual(self, maps: Tensor) -> Tensor:
        """Returns what the block adds to its shortcut."""
        maps = self.relu(self.bn1(self.conv1(maps)))
        maps = self.relu(self.bn2(self.conv2(maps)))
        return self.bn3(self.conv3(maps))


BLOCKS: dict[int, tuple[type[Block], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}


def make_layer(block: type[Block], count: int, channels: int, planes: int, *, stride: int, ibn: bool) -> nn.Sequential:
    """Returns ``count`` blocks in a row, the first of which has the stride."""
    blocks = [block(channels, planes, stride, ibn)]
    blocks += [block(planes * block.expansion, planes, 1, ibn) for _ in range(1, count)]
    return nn.Sequential(*blocks)


class BackboneParams(Record):
    """The keywords of ``ResNet``."""

    depth: int
    width: Annotated[float, Field(gt=0, le=16)]
    ibn: bool
    last_stride: int
    stem_pool: Literal["padded", "ceil"]


class ResNet(nn.Module):
    """Images ``[B, 3, H, W]`` (normalised) -> the map of ``layer4``, ``[B, C, h, w]``.

    ``depth``: 18, 34, 50 or 101. ``width`` multiplies every channel count (1 is the published network).
    ``ibn`` puts IBN-a blocks into layers 1 to 3. ``last_stride`` 1 keeps the map of ``layer4`` as large as
    that of ``layer3``. ``stem_pool``: "padded" is torchvision's 3x3/2 max-pool with padding 1; "ceil" is
    fast-reid's, without padding and rounded up. Parameters are named as in torchvision (IBN as in
    XingangPan/IBN-Net), so that their weights load by name. ``channels``: those of ``layer3`` and ``layer4``.

    Raises:
        ValueError: for an unknown depth, stride or pool, or a width that gives no even number of channels.
    """

    def __init__(
        self,
        *,
        depth: int,
        width: float,
        ibn: bool,
        last_stride: int,
        stem_pool: Literal["padded", "ceil"],
    ) -> None:
        super().__init__()
        base = self._check(depth, width, last_stride, stem_pool)
        scaled = "" if width == 1 else f"_x{width:g}"
        self.architecture = f"resnet{depth}" + ("_ibn_a" if ibn else "") + scaled
        self.last_stride = last_stride
        self.conv1 = nn.Conv2d(3, base, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        self.relu = nn.ReLU(inplace=True)
        self.stem_padding = int(stem_pool == "padded")
        self.maxpool = nn.MaxPool2d(3, 2, padding=self.stem_padding, ceil_mode=not self.stem_padding)
        block, (first, second, third, fourth) = BLOCKS[depth]
        wide = base * block.expansion
        self.layer1 = make_layer(block, first, base, base, stride=1, ibn=ibn)
        self.layer2 = make_layer(block, second, wide, 2 * base, stride=2, ibn=ibn)
        self.layer3 = make_layer(block, third, 2 * wide, 4 * base, stride=2, ibn=ibn)
        self.layer4 = make_layer(block, fourth, 4 * wide, 8 * base, stride=last_stride, ibn=False)
        self.channels = (4 * wide, 8 * wide)
        init_convolutions(self)

    @staticmethod
    def _check(depth: int, width: float, last_stride: int, stem_pool: str) -> int:
        if depth not in BLOCKS:
            raise ValueError(f"depth: expected one of {', '.join(map(str, BLOCKS))}, got {depth}")
        if last_stride not in (1, 2):
            raise ValueError(f"last_stride: expected 1 or 2, got {last_stride}")
        if stem_pool not in ("padded", "ceil"):
            raise ValueError(f"stem_pool: expected 'padded' or 'ceil', got {stem_pool!r}")
        base = 64 * width
        if base < 2 or base % 2:
            raise ValueError(f"width: expected 64 * width to be an even number of channels, got {width}")
        return int(base)

    def stem(self, images: Tensor) -> Tensor:
        """Returns the map before ``layer1``, a quarter of the image's height and width."""
        return self.maxpool(self.relu(self.bn1(self.conv1(images))))

    def map_size(self, pixels: int) -> int:
        """Returns how many rows (columns) the last map has for an image of ``pixels`` rows (columns)."""
        size = count_outputs(pixels, kernel=7, stride=2, padding=3)
        size = count_outputs(size, kernel=3, stride=2, padding=self.stem_padding, ceil=not self.stem_padding)
        for stride in (2, 2, self.last_stride):
            size = count_outputs(size, kernel=3, stride=stride, padding=1)
        return size

    def forward(self, images: Tensor) -> Tensor:
        """Returns the map of ``layer4``."""
        maps = self.stem(images)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps = layer(maps)
        return maps
