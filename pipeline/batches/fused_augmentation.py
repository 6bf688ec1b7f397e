"""Batches on a CPU: gathered, cropped, mirrored, erased, patched and normalised in one pass over their pixels.

A pixel of such a batch is one of the store's, a zero of the padding or the colour of erased boxes: its normalised
value is looked up, in a table of 257 for each channel. Values are those of ``Augmentation`` and ``normalize``, bit for
bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from pipeline.batches.boxes import Boxes, drawn_patches, erased_boxes
from pipeline.batches.transforms import MEAN, Augmentation, erased_colour, normalize

ERASED = 256  # the column of a table that stands for the colour of erased boxes


class Plan(NamedTuple):
    """What becomes of each image of a group, int64 ``[B, ...]``.

    ``moves``: how far down and right its crop begins, and whether it is mirrored. ``channels``: those that are shown as
    red, green and blue. ``erased``: a box, by its first and last row and column, last + 1. ``patches``: a box, then the
    image of the group that fills it, from which row and column on, and whether mirrored. Boxes of nothing are zeros.
    """

    moves: np.ndarray
    channels: np.ndarray
    erased: np.ndarray
    patches: np.ndarray


def is_one_pass(augmentation: Augmentation | None) -> bool:
    """Returns whether no step mixes channels or pixels."""
    return augmentation is None or not (augmentation.jitter or augmentation.grayscale)


def value_table(augmentation: Augmentation | None, dtype: torch.dtype) -> np.ndarray:
    """Returns the normalised values of 0 to 255 and, last, of the colour of erased boxes, ``[3, 257]``."""
    erasing = augmentation.erasing if augmentation else None
    colour = torch.tensor(erased_colour(erasing) if erasing else MEAN, dtype=dtype)
    codes = torch.cat([torch.arange(256, dtype=dtype).expand(3, -1), colour[:, None]], dim=1)
    return normalize(codes[None, :, None], dtype)[0, :, 0].contiguous().numpy()


def load_by_plan(images: np.ndarray, rows: np.ndarray, plan: Plan, table: np.ndarray) -> Tensor:
    """Returns the ``images`` ``[N, H, W, 3]`` uint8 of ``rows`` ``[B]``, normalised by ``table``, ``[B, 3, H, W]``.

    Raises:
        IndexError: for a row that there is not.
    """
    if len(rows) and not 0 <= rows.min() <= rows.max() < len(images):
        raise IndexError(f"rows: expected 0 to {len(images) - 1}, got {rows.min()} to {rows.max()}")
    _, height, width, _ = images.shape
    loaded = torch.empty((len(rows), 3, height, width), dtype=torch.from_numpy(table).dtype)
    _fill(images, rows, plan, table, loaded.numpy())
    return loaded


def make_plan(augmentation: Augmentation | None, shape: tuple[int, int], epoch: int, positions: np.ndarray) -> Plan:
    """Returns what ``augmentation`` makes of a group of images of ``shape`` (H, W); None leaves them alone."""
    size = len(positions)
    plan = Plan(*(np.zeros((size, columns), dtype=np.int64) for columns in (3, 3, 4, 8)))
    plan.channels[:] = 0, 1, 2
    if augmentation is None:
        return plan

    pad, draws = augmentation.pad, augmentation.draw(epoch, positions)
    if "crop" in draws:
        plan.moves[:, :2] = (draws["crop"] * (2 * pad + 1)).astype(np.int64) - pad
        plan.moves[:, 2] = draws["flip"][:, 0] < augmentation.flip
    if augmentation.single_channel:
        whether, which = draws["single_channel"].T
        chosen = whether < augmentation.single_channel
        plan.channels[chosen] = (which[chosen, None] * 3).astype(np.int64)
    if augmentation.erasing:
        plan.erased[:] = _corners(erased_boxes(augmentation.erasing, torch.from_numpy(draws["erasing"]), *shape))
    if augmentation.patch and "patch" in draws:
        patches = drawn_patches(augmentation.patch, torch.from_numpy(draws["patch"]), *shape)
        origin = torch.stack([patches.source, patches.top, patches.left, patches.mirrored.long()], dim=1)
        plan.patches[:] = np.concatenate([_corners(patches.boxes), origin.numpy()], axis=1)
    return plan


def _corners(boxes: Boxes) -> np.ndarray:
    corners = torch.stack([boxes.top, boxes.top + boxes.height, boxes.left, boxes.left + boxes.width], dim=1)
    return (corners * boxes.used[:, None]).numpy()


@numba.njit(cache=True, nogil=True)
def _fill(images: np.ndarray, rows: np.ndarray, plan: Plan, table: np.ndarray, loaded: np.ndarray) -> None:
    """Writes each image to ``loaded`` ``[B, 3, H, W]``."""
    for place in range(len(rows)):
        _move(images[rows[place]], plan.moves[place], plan.channels[place], table, loaded[place])
        top, bottom, left, right = plan.erased[place]
        for channel in range(3):
            loaded[place, channel, top:bottom, left:right] = table[channel, ERASED]
    for place in range(len(rows)):
        _patch(images, rows, plan, place, table, loaded[place])


@numba.njit(cache=True, nogil=True)
def _move(image: np.ndarray, move: np.ndarray, channels: np.ndarray, table: np.ndarray, loaded: np.ndarray) -> None:
    """Writes an image ``[H, W, 3]`` cropped and mirrored; what lies outside it is zero before normalising."""
    _, height, width = loaded.shape
    down, right, is_mirrored = move
    first, last = (right, width + right) if is_mirrored else (-right, width - right)
    first, last = min(max(0, first), width), min(max(0, last), width)
    start, step = (width - 1 + right, -1) if is_mirrored else (right, 1)
    red, green, blue = np.uint64(channels[0]), np.uint64(channels[1]), np.uint64(channels[2])  # unsigned: no wrapping
    for y in range(height):
        if not 0 <= y + down < height:
            for channel in range(3):
                loaded[channel, y] = table[channel, 0]
            continue
        for channel in range(3):
            loaded[channel, y, :first] = table[channel, 0]
            loaded[channel, y, last:] = table[channel, 0]
        pixels = image[y + down]
        reds, greens, blues = loaded[0, y], loaded[1, y], loaded[2, y]
        for x in range(first, last):
            source, goal = np.uint64(start + step * x), np.uint64(x)
            reds[goal] = table[0, pixels[source, red]]
            greens[goal] = table[1, pixels[source, green]]
            blues[goal] = table[2, pixels[source, blue]]


@numba.njit(cache=True, nogil=True)
def _patch(images: np.ndarray, rows: np.ndarray, plan: Plan, place: int, table: np.ndarray, loaded: np.ndarray) -> None:
    """Writes into an image the box that comes from another one, moved and erased but not patched."""
    top, bottom, left, right, source, from_row, from_column, is_mirrored = plan.patches[place]
    height, width = loaded.shape[1:]
    image, channels = images[rows[source]], plan.channels[source]
    down, across, is_source_mirrored = plan.moves[source]
    erased_top, erased_bottom, erased_left, erased_right = plan.erased[source]
    for y in range(top, bottom):
        row = y - top + from_row
        for x in range(left, right):
            column = from_column + (right - 1 - x if is_mirrored else x - left)
            is_erased = erased_top <= row < erased_bottom and erased_left <= column < erased_right
            old_row, old_column = row + down, (width - 1 - column if is_source_mirrored else column) + across
            is_inside = 0 <= old_row < height and 0 <= old_column < width
            for channel in range(3):
                code = ERASED if is_erased else 0
                if is_inside and not is_erased:
                    code = int(image[old_row, old_column, channels[channel]])
                loaded[channel, y, x] = table[channel, code]
