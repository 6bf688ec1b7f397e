"""Soft-edged, shaded shapes: tubes and rounded boxes of which each pixel knows its place on the surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic_people.arithmetic import TURN, enlarged, interpolate, sine, standardised
from pipeline.synthetic_people.draws import Draws

Array = NDArray[Any]
"""Pictures and surface coordinates: float32 throughout, for speed."""

Point = tuple[float, float]

CONTACT = 5.0  # pixels over which a shape darkens what lies behind it


@dataclass
class Light:
    """Where light comes from, in the picture: right, up, towards the viewer; and how much comes from all sides."""

    right: float
    up: float
    front: float
    ambient: float


@dataclass
class Patch:
    """A shape on its bounding box: all arrays [h, w].

    ``cover`` is the share of the pixel inside the shape, ``near`` falls from 1 at its edge to 0 some pixels outside.
    ``along`` runs along the axis (0 at its first point, 1 at its second, ...), ``across`` from -1 to 1 over the width.
    ``right, down, front`` is the surface normal; ``scale`` is pixels per unit of ``along``.
    """

    rows: slice
    columns: slice
    cover: Array
    near: Array
    along: Array
    across: Array
    right: Array
    down: Array
    front: Array
    scale: float


def _box(points: Sequence[Point], reach: float, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Returns the rows and columns of a picture within ``reach`` of the points, None where there are none."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    left, right = max(int(min(xs) - reach), 0), min(int(max(xs) + reach) + 2, shape[-1])
    top, bottom = max(int(min(ys) - reach), 0), min(int(max(ys) + reach) + 2, shape[-2])
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


@lru_cache(maxsize=1)
def _centres() -> Array:
    """Returns the centres of the pixels of a long row."""
    return np.arange(4096, dtype=np.float32) + np.float32(0.5)


def _grid(rows: slice, columns: slice) -> tuple[Array, Array]:
    """Returns the pixel centres of a box: x [1, w] and y [h, 1]."""
    return _centres()[None, columns], _centres()[rows, None]


def tube(
    layer: Array,
    points: Sequence[Point],
    radii: Sequence[float],
    *,
    ease: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Patch | None:
    """Returns a round tube through ``points`` (x, y in pixels), None where it lies outside the picture.

    ``radii`` holds three per piece (start, middle, end). ``ease`` widens it where cloth hangs: (end of the cloth in
    units of ``along``, pixels at its start, pixels at its end).
    """
    box = _box(points, max(radii) + max(ease[1:]) + CONTACT, layer.shape)
    if box is None:
        return None
    x, y = _grid(*box)
    best: list[Array] | None = None
    pieces = list(pairwise(points))
    for number, ((ax, ay), (bx, by)) in enumerate(pieces):
        dx, dy = bx - ax, by - ay
        square = max(dx * dx + dy * dy, 1e-3)
        px, py = x - ax, y - ay
        t = unit((px * dx + py * dy) * (1 / square))
        ex, ey = px - t * dx, py - t * dy
        start, middle, end = radii[3 * number : 3 * number + 3]
        radius = start + t * ((4 * middle - 3 * start - end) + t * (2 * (start + end - 2 * middle)))
        along = t + number
        if ease[0] > 0:
            cloth = unit((ease[0] * 40 + 0.5) - along * 40)
            radius += cloth * (ease[1] + ((ease[2] - ease[1]) / ease[0]) * along)
        gap = np.sqrt(ex * ex + ey * ey) - radius
        ex, ey = ex / radius, ey / radius
        across = ex * (dy / sqrt(square)) - ey * (dx / sqrt(square))
        found = [gap, along, across, ex, ey]
        if best is None:
            best = found
        else:
            closer = gap < best[0]
            best = [np.where(closer, new, old) for new, old in zip(found, best, strict=True)]
    assert best is not None
    size = sum(length(b[0] - a[0], b[1] - a[1]) for a, b in pieces) / len(pieces)
    gap, along, across, right, down = best
    return _patch(box, gap, along, across, right, down, max(size, 1.0))


def lathe(
    layer: Array, top: Point, bottom: Point, knots: Sequence[float] | Array, widths: Sequence[float]
) -> Patch | None:
    """Returns a shape turned about the axis top-bottom whose half width is given at ``knots`` of ``along``."""
    box = _box((top, bottom), max(widths) + CONTACT, layer.shape)
    if box is None:
        return None
    x, y = _grid(*box)
    dx, dy = bottom[0] - top[0], bottom[1] - top[1]
    size = max(length(dx, dy), 1.0)
    px, py = x - top[0], y - top[1]
    raw = (px * dx + py * dy) / (size * size)
    t = unit(raw)
    radius = interpolate(t, knots, widths).astype(np.float32)
    lateral = (px * dy - py * dx) / size
    gap = np.maximum(np.abs(lateral) - radius, (np.abs(raw - 0.5) - 0.5) * size)
    across = lateral / radius
    zero = np.zeros_like(across)
    return _patch(box, gap, t, across, across * (dy / size), zero - across * (dx / size), size)


def ball(layer: Array, centre: Point, half: Point, *, taper: float = 0.0, boxy: bool = False) -> Patch | None:
    """Returns an egg (``taper`` narrows it downwards) or, ``boxy``, a rounded box.

    ``along`` runs from -1 (top) to 1 (bottom); ``half`` is half width and half height in pixels.
    """
    box = _box((centre,), max(half) + CONTACT, layer.shape)
    if box is None:
        return None
    x, y = _grid(*box)
    v = (y - centre[1]) / half[1]
    width = half[0] * (1 - taper * np.clip(v, 0, 1.2) ** 2)
    u = (x - centre[0]) / width
    v = np.broadcast_to(v, u.shape)
    radius = np.sqrt(np.sqrt(u**2 * u**2 + v**2 * v**2)) if boxy else np.sqrt(u * u + v * v)
    return _patch(box, (radius - 1) * min(half), v, u, u, v, half[1])


def _patch(
    box: tuple[slice, slice], gap: Array, along: Array, across: Array, right: Array, down: Array, scale: float
) -> Patch:
    """Returns the patch of a shape from the signed distance ``gap`` to its edge and its surface coordinates."""
    front = np.sqrt(np.maximum(1 - right * right - down * down, 0))
    return Patch(
        *box,
        cover=unit(0.5 - gap),
        near=unit(1 - gap / CONTACT),
        along=along,
        across=across.clip(-1.0, 1.0),
        right=right,
        down=down,
        front=front,
        scale=scale,
    )


def shade(patch: Patch, light: Light, folds: Array | float = 0.0) -> tuple[Array, Array]:
    """Returns how bright the patch is in visible and in infrared light, [h, w] each; ``folds`` is added relief.

    Infrared cameras carry their own lamp beside the lens, so what faces them is bright.
    """
    visible = (0.65 * light.right) * patch.right - (0.65 * light.up) * patch.down + (0.65 * light.front) * patch.front
    visible = np.maximum(visible + 0.35, 0) * (1.12 - 1.12 * light.ambient) + 1.12 * light.ambient
    visible *= (0.72 + 0.28 * patch.front) * (1 + folds)
    infrared = (0.6 + 0.4 * patch.front) * (1 + 0.6 * folds)
    return visible, infrared


def paint(
    layer: Array, patch: Patch, albedo: Array, light: Light, *, folds: Array | float = 0.0, contact: float
) -> None:
    """Draws the patch over ``layer`` [5, H, W] (red, green, blue, infrared, alpha; premultiplied).

    ``albedo`` is [4, h, w] or [4, 1, 1]; ``contact`` is how much the shape darkens what lies behind its edge.
    """
    area = layer[:, patch.rows, patch.columns]
    visible, infrared = shade(patch, light, folds)
    keep = 1 - patch.cover
    area[:4] *= keep * (1 - contact * patch.near)
    area[4] *= keep
    area[:3] += albedo[:3] * (visible * patch.cover)
    area[3] += albedo[3] * (infrared * patch.cover)
    area[4] += patch.cover


@lru_cache(maxsize=1)
def fold_texture() -> Array:
    """Returns relief [256, 256] in about [-1, 1] that repeats at its edges: long creases across smaller ones."""
    rng = Draws(11)
    relief = np.zeros((256, 256))
    for rows, columns, weight in ((10, 4, 1.0), (22, 7, 0.7), (48, 20, 0.35)):
        relief += weight * enlarged(rng.normals(rows, columns), 256)
    down, right = np.indices((256, 256))
    relief = relief[down, (right + np.rint(40 * sine(TURN * down / 256)).astype(int)) % 256]
    relief = np.roll(relief, 3, axis=0) - np.roll(relief, -3, axis=0)
    return standardised(relief) / np.float32(2.2)


def folds_of(patch: Patch, amount: float, seed: int) -> Array:
    """Returns the creases of cloth on the patch; ``seed`` moves them about."""
    texture = fold_texture()
    row = (patch.along * (patch.scale * 1.1) + seed % 251).astype(np.int32) & 255
    column = (patch.across * 44.0 + (seed // 251) % 251 + 64).astype(np.int32) & 255
    return amount * texture[row, column]


def length(right: float, down: float) -> float:
    """Returns the length of a step in the picture."""
    return sqrt(right * right + down * down)


def unit(values: Array) -> Array:
    """Returns the values held to [0, 1]."""
    return values.clip(0.0, 1.0)


def smooth(values: Array, low: float | Array, high: float | Array) -> Array:
    """Returns 0 below ``low``, 1 above ``high`` and a smooth step between (falling where high < low)."""
    t = unit((values - low) / (high - low))
    return t * t * (3 - 2 * t)


def mix(base: Array, other: Sequence[float] | Array, share: Array) -> Array:
    """Returns colours ``base`` [4, ...] moved towards ``other`` by ``share`` [h, w]."""
    target = np.asarray(other, np.float32).reshape(4, 1, 1) if np.ndim(other) == 1 else np.asarray(other)
    return base + share * (target - base)


def flat(colour: Sequence[float] | Array) -> Array:
    """Returns a colour as albedo [4, 1, 1]."""
    return np.asarray(colour, np.float32).reshape(4, 1, 1)
