"""The boxes of random erasing and random patch, drawn for a group at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from pipeline.config import Record

Probability = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[tuple[float, float], Field(strict=False)]
Attempts = Annotated[int, Field(ge=1)]
"""Boxes drawn until one fits; when none of them fits, none is used."""


class Erasing(Record):
    """A box of one colour: ``area`` is a uniform share of the image, ``aspect`` height / width by its ``aspect_law``.

    ``fill``: red, green and blue of the box as the network sees them, that is less ImageNet's mean, over its standard
    deviation: [0, 0, 0] is the mean colour. torchvision draws the aspect log-uniformly, ten times at most.
    """

    probability: Probability
    area: Range
    aspect: Range
    aspect_law: Literal["uniform", "log_uniform"]
    fill: Annotated[tuple[float, float, float], Field(strict=False)]
    attempts: Attempts

    @property
    def draws(self) -> int:
        """The random numbers that a box takes."""
        return box_draws(self.attempts)


class RandomPatch(Record):
    """A box from another image: ``area`` and ``aspect`` uniform, ``flip`` the chance of mirroring it."""

    probability: Probability
    area: Range
    aspect: Range
    attempts: Attempts
    flip: Probability

    @property
    def draws(self) -> int:
        """The random numbers that a patch takes: a box, which image, from where, and whether it is mirrored."""
        return box_draws(self.attempts) + 4


def box_draws(attempts: int) -> int:
    """Returns the random numbers of a box: whether, top, left, and an area and an aspect for each attempt."""
    return 3 + 2 * attempts


@dataclass
class Boxes:
    """One box in each image: its first row ``top`` and column ``left``, ``height`` and ``width``, int64 ``[B]``.

    ``used`` ``[B]``: whether there is one at all, as it was chosen and fits.
    """

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    used: Tensor

    def inside(self, height: int, width: int) -> Tensor:
        """Returns which pixels of images of that size lie in their box, ``[B, 1, H, W]``."""
        ys = torch.arange(height, device=self.top.device) - self.top[:, None]
        xs = torch.arange(width, device=self.top.device) - self.left[:, None]
        rows, columns = (ys >= 0) & (ys < self.height[:, None]), (xs >= 0) & (xs < self.width[:, None])
        return (rows & self.used[:, None])[:, None, :, None] & columns[:, None, None, :]


@dataclass
class Patches:
    """What fills each image's box: the pixels of image ``source`` from row ``top`` and column ``left`` on, ``[B]``."""

    boxes: Boxes
    source: Tensor
    top: Tensor
    left: Tensor
    mirrored: Tensor


def erased_boxes(params: Erasing, draws: Tensor, height: int, width: int) -> Boxes:
    """Returns the boxes that ``erase`` empties; ``draws`` is ``[B, params.draws]``."""
    places = _aspect_draws(draws, params.attempts)
    if params.aspect_law == "log_uniform":
        low, high = (math.log(bound) for bound in params.aspect)
        aspects = torch.exp(low + (high - low) * places)
    else:
        low, high = params.aspect
        aspects = low + (high - low) * places
    return _draw_boxes(params.probability, params.area, aspects, draws, height, width)


def drawn_patches(params: RandomPatch, draws: Tensor, height: int, width: int) -> Patches:
    """Returns what ``paste`` puts where; ``draws`` is ``[B, params.draws]``, one row for each image of the group."""
    size = len(draws)
    low, high = params.aspect
    aspects = low + (high - low) * _aspect_draws(draws, params.attempts)
    boxes = _draw_boxes(params.probability, params.area, aspects, draws, height, width)
    other, down, right, mirror = draws[:, box_draws(params.attempts) :].unbind(dim=1)
    source = (torch.arange(size, device=draws.device) + 1 + (other * (size - 1)).long()) % size
    top, left = _place(down, height - boxes.height), _place(right, width - boxes.width)
    return Patches(boxes, source, top, left, mirror < params.flip)


def _aspect_draws(draws: Tensor, attempts: int) -> Tensor:
    return draws[:, 3 + attempts : box_draws(attempts)]


def _draw_boxes(probability: float, area: Range, aspects: Tensor, draws: Tensor, height: int, width: int) -> Boxes:
    """Returns of each image the first drawn box that is smaller than the image both ways, anywhere in it.

    ``aspects`` is height / width, ``[B, attempts]``. Draws: whether, top, left, then an area for each attempt.
    """
    areas = area[0] + (area[1] - area[0]) * draws[:, 3 : 3 + aspects.shape[1]]
    pixels = areas * (height * width)
    heights, widths = (pixels * aspects).sqrt().round().long(), (pixels / aspects).sqrt().round().long()
    fitting = (heights < height) & (widths < width)
    first = fitting.long().argmax(dim=1, keepdim=True)
    box_height, box_width = heights.gather(1, first).squeeze(1), widths.gather(1, first).squeeze(1)
    top, left = _place(draws[:, 1], height - box_height), _place(draws[:, 2], width - box_width)
    used = (draws[:, 0] < probability) & fitting.any(dim=1)
    return Boxes(top, left, box_height, box_width, used)


def _place(draws: Tensor, room: Tensor) -> Tensor:
    """Returns whole offsets from 0 to ``room``, all equally likely."""
    return (draws * (room + 1)).long()
