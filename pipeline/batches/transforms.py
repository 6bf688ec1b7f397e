"""Augmentation of a batch at once, its random numbers a pure function of (seed, epoch, position)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from pipeline.batches.boxes import (
    Erasing,
    Probability,
    RandomPatch,
    drawn_patches,
    erased_boxes,
)
from pipeline.batches.counter_rng import uniform
from pipeline.config import Record

MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)
"""ImageNet's, on the 0..255 scale, red, green, blue."""


class ColourJitter(Record):
    """Changes of light and colour by factors from [1 - x, 1 + x]; ``hue`` is a share of a full turn."""

    probability: Probability
    brightness: Probability
    contrast: Probability
    saturation: Probability
    hue: Annotated[float, Field(ge=0, le=0.5)]


class AugmentationParams(Record):
    """A block of params.yaml; its keys are the keywords of ``Augmentation``, null leaves a step out."""

    pad: Annotated[int, Field(ge=0)]
    flip: Probability
    jitter: ColourJitter | None
    single_channel: Probability
    grayscale: Probability
    erasing: Erasing | None
    patch: RandomPatch | None


class Augmentation:
    """Augments groups: crop, flip, colour jitter, single channel, grayscale, erasing, random patch, in this order.

    ``pad`` is in pixels (zeros all round, then a crop of the old size), ``flip``, ``single_channel`` and ``grayscale``
    are probabilities. Every step draws from its own stream of ``uniform``, so switching one off leaves the
    others' numbers as they were. Cropping and flipping work on uint8, the rest on floats of 0..255.
    """

    def __init__(
        self,
        *,
        seed: int,
        pad: int,
        flip: float,
        jitter: ColourJitter | None,
        single_channel: float,
        grayscale: float,
        erasing: Erasing | None,
        patch: RandomPatch | None,
    ) -> None:
        self.seed = seed
        self.pad = pad
        self.flip = flip
        self.jitter = jitter
        self.single_channel = single_channel
        self.grayscale = grayscale
        self.erasing = erasing
        self.patch = patch

    def draw(self, epoch: int, positions: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the random numbers of each step for images at ``positions`` ``[B]``, ``[B, draws]`` float64.

        A position is the image's place in the epoch's sequence.
        """
        moves = self.pad or self.flip
        counts = {
            "crop": 2 if moves else 0,
            "flip": 1 if moves else 0,
            "jitter": 5 if self.jitter else 0,
            "single_channel": 2 if self.single_channel else 0,
            "grayscale": 1 if self.grayscale else 0,
            "erasing": self.erasing.draws if self.erasing else 0,
            "patch": self.patch.draws if self.patch and len(positions) > 1 else 0,
        }
        return {name: uniform(self.seed, name, epoch, positions, count) for name, count in counts.items() if count}

    def __call__(self, images: Tensor, draws: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor:
        """Returns one group augmented by its ``draws``, ``[B, 3, H, W]`` of ``dtype`` on the 0..255 scale.

        ``images`` is ``[B, 3, H, W]`` uint8. Without random patch an image's result depends on itself and its draws
        alone; with it, also on the other images of the call, which therefore must be exactly one group.
        """
        if "crop" in draws:
            images = crop_and_flip(images, self.pad, self.flip, draws["crop"], draws["flip"])
        images = images.to(dtype)
        if self.jitter:
            images = jitter(images, self.jitter, draws["jitter"])
        if self.single_channel:
            images = repeat_channel(images, self.single_channel, draws["single_channel"])
        if self.grayscale:
            images = torch.where(_chosen(draws["grayscale"], self.grayscale), _luminance(images), images)
        if self.erasing:
            images = erase(images, self.erasing, draws["erasing"])
        if self.patch and "patch" in draws:
            images = paste(images, self.patch, draws["patch"])
        return images


def normalize(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns images ``[B, 3, H, W]`` of 0..255 less ImageNet's mean, over its standard deviation."""
    mean, std = (_colour(values, dtype, images.device) for values in (MEAN, STD))
    return (images.to(dtype) - mean).div_(std)


def crop_and_flip(images: Tensor, pad: int, flip: float, crop_draws: Tensor, flip_draws: Tensor) -> Tensor:
    """Returns ``images`` padded by ``pad`` zeros, cropped to their size, mirrored with chance ``flip``.

    ``crop_draws`` is ``[B, 2]`` (down, right), ``flip_draws`` ``[B, 1]``. All offsets are equally likely.
    """
    height, width = images.shape[-2:]
    offset = (crop_draws * (2 * pad + 1)).long()
    ys = torch.arange(height, device=images.device) + offset[:, :1]
    xs = torch.arange(width, device=images.device)
    xs = torch.where(flip_draws < flip, width - 1 - xs, xs) + offset[:, 1:]
    return _take(functional.pad(images, (pad, pad, pad, pad)), ys, xs)


def erase(images: Tensor, params: Erasing, draws: Tensor) -> Tensor:
    """Returns ``images`` of 0..255, some with a box of one colour; ``draws`` is ``[B, params.draws]``.

    Source: Zhong et al., "Random Erasing Data Augmentation", AAAI 2020. ``log_uniform``, 10 attempts: torchvision's
    ``RandomErasing``, which fast-reid c9bc3ce fills with the mean colour. ``uniform``, 100 attempts: ``RandomErasing``
    of tengxiao14/Purification_ReID de659b8 and alibaba/cluster-contrast-reid 57b62e9, ``ChannelRandomErasing`` of
    Cross-Modal-Re-ID-baseline e817a26, which fill images that are normalised already.
    """
    boxes = erased_boxes(params, draws, *images.shape[-2:])
    colour = _colour(erased_colour(params), images.dtype, images.device)
    return torch.where(boxes.inside(*images.shape[-2:]), colour, images)


def erased_colour(params: Erasing) -> Colour:
    """Returns red, green and blue of an erased box, on the 0..255 scale."""
    red, green, blue = (mean + fill * std for mean, fill, std in zip(MEAN, params.fill, STD, strict=True))
    return red, green, blue


def paste(images: Tensor, params: RandomPatch, draws: Tensor) -> Tensor:
    """Returns ``images``, some with a box of another image of the group, taken before any was pasted.

    ``draws`` is ``[B, params.draws]``.

    Source: Zhou et al., "Omni-Scale Feature Learning for Person Re-Identification", ICCV 2019; fast-reid's
    ``RandomPatch`` in github.com/KuilongCui/MDPR at 89d9737.
    Differs: patches come from the other images of the same group, because the reference's pool of the last 1,000
    patches of one loader process can be rebuilt neither by a resumed run nor by another number of workers; hence no
    wait for the first 100 patches; a patch has the size of the box it fills.
    """
    height, width = images.shape[-2:]
    patches = drawn_patches(params, draws, height, width)
    boxes = patches.boxes
    ys = torch.arange(height, device=images.device) - boxes.top[:, None]
    xs = torch.arange(width, device=images.device) - boxes.left[:, None]
    xs = torch.where(patches.mirrored[:, None], boxes.width[:, None] - 1 - xs, xs)
    ys, xs = ys + patches.top[:, None], xs + patches.left[:, None]
    pasted = _take(images[patches.source], ys.clamp(0, height - 1), xs.clamp(0, width - 1))
    return torch.where(boxes.inside(height, width), pasted, images)


def jitter(images: Tensor, params: ColourJitter, draws: Tensor) -> Tensor:
    """Returns ``images`` of 0..255, some with brightness, contrast, saturation and hue changed.

    Differs from torchvision's ``ColorJitter``: the four always come in this order, because a random order
    would need a pass over the batch for each; and results are not rounded in between.
    """
    chosen = _chosen(draws[:, :1], params.probability)
    strengths = (params.brightness, params.contrast, params.saturation)
    factors = [
        (1 + strength * (2 * draws[:, 1 + index] - 1)).to(images.dtype).view(-1, 1, 1, 1)
        for index, strength in enumerate(strengths)
    ]
    changed = (images * factors[0]).clamp_(0, 255)
    changed = torch.lerp(_luminance(changed).mean(dim=(2, 3), keepdim=True), changed, factors[1]).clamp_(0, 255)
    changed = torch.lerp(_luminance(changed), changed, factors[2]).clamp_(0, 255)
    if params.hue:
        changed = _turn_hue(changed, (params.hue * (2 * draws[:, 4] - 1)).to(images.dtype).view(-1, 1, 1))
    return torch.where(chosen, changed, images)


def repeat_channel(images: Tensor, probability: float, draws: Tensor) -> Tensor:
    """Returns ``images``, some with one of their colours in all three channels, each colour as likely.

    ``draws`` is ``[B, 2]`` (whether, which). An infrared image, whose channels are equal, stays as it is.

    Source: Ye et al., "Channel Augmented Joint Learning for Visible-Infrared Recognition", ICCV 2021.
    """
    chosen = (draws[:, 1] * 3).long().view(-1, 1, 1, 1).expand(-1, 1, *images.shape[2:])
    return torch.where(_chosen(draws[:, :1], probability), images.gather(1, chosen), images)


Colour = tuple[float, float, float]


def _colour(values: Colour, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns a number for each channel, ``[3, 1, 1]``; a GPU is sent it once."""
    return _colour_on_gpu(values, dtype, device) if device.type == "cuda" else _make_colour(values, dtype, device)


def _make_colour(values: Colour, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=dtype, device=device).view(3, 1, 1)


_colour_on_gpu = cache(_make_colour)


def _chosen(draws: Tensor, probability: float) -> Tensor:
    """Returns which images a step changes, ``[B, 1, 1, 1]``; ``draws`` is ``[B, 1]``."""
    return (draws < probability).view(-1, 1, 1, 1)


def _take(images: Tensor, ys: Tensor, xs: Tensor) -> Tensor:
    """Returns each image's pixels at rows ``ys`` ``[B, H]`` and columns ``xs`` ``[B, W]``."""
    size, channels, _, width = images.shape
    places = (ys[:, :, None] * width + xs[:, None, :]).view(size, 1, -1).expand(-1, channels, -1)
    return images.flatten(2).gather(2, places).view(size, channels, ys.shape[1], xs.shape[1])


def _luminance(images: Tensor) -> Tensor:
    """Returns the grey image ``[B, 1, H, W]`` of ITU-R BT.601, as Pillow's mode L."""
    return (images * _colour((0.299, 0.587, 0.114), images.dtype, images.device)).sum(dim=1, keepdim=True)


def _turn_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Returns RGB images, their hexagonal hue turned by ``turn`` ``[B, 1, 1]`` of a full circle."""
    value, lowest = images.amax(dim=1), images.amin(dim=1)
    chroma = value - lowest
    red, green, blue = images.unbind(dim=1)
    safe = chroma.clamp(min=torch.finfo(images.dtype).tiny)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sector = (_colour((5.0, 3.0, 1.0), torch.float32, images.device) + (hue + 6 * turn)[:, None]) % 6
    return value[:, None] - chroma[:, None] * torch.minimum(sector, 4 - sector).clamp(0, 1)
