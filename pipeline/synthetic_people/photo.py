"""One image: a person before a camera, with others passing, things in the way and a box that does not fit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from pipeline.config import Record
from pipeline.synthetic_people.arithmetic import exponential
from pipeline.synthetic_people.camera import Camera, Sensor, backdrop, cast_shadow, develop, facing
from pipeline.synthetic_people.draws import Draws
from pipeline.synthetic_people.figure import draw
from pipeline.synthetic_people.pose import View, draw_pose
from pipeline.synthetic_people.scene import WIDTH, noise, tinted
from pipeline.synthetic_people.shapes import Array, Light, Patch, ball, flat, lathe, paint, tube
from pipeline.synthetic_people.traits import Traits, draw_traits

DETAIL = 1.5  # pixels drawn per pixel delivered, each way
FILL = 0.86  # share of the box's height that a well boxed person takes
OCCLUDERS = ("bush", "post", "bin", "rail", "person")


class Street(Record):
    """What happens before the cameras: shares of images in [0, 1].

    ``box_jitter`` is the standard deviation of the box's shift and scale, in box heights. ``occluders`` is the share
    of images with something in the way, ``bystanders`` with someone behind, ``standing`` of people who do not walk.
    """

    box_jitter: float
    occluders: float
    bystanders: float
    standing: float


class Photo(NamedTuple):
    """What a camera delivers, and the truth: ``mask`` is 8-bit grey, 255 where only the person is to be seen.

    Shadows, people behind and things in the way are no part of the person.
    """

    visible: Image.Image
    infrared: Image.Image
    mask: Image.Image


def take(
    camera: Camera,
    traits: Traits | None,
    rng: Draws,
    *,
    street: Street,
    sensor: Sensor,
    size: tuple[int, int],
    slip: float,
) -> Photo:
    """Returns an image of a person (None: of nobody) by a camera, at ``size`` (rows, columns).

    ``slip`` multiplies the box's misalignment: 1 is an ordinary detection, several make a junk box.
    """
    rows, columns = round(size[0] * DETAIL), round(size[1] * DETAIL)
    depth = rng.uniform(camera.ground.near, camera.ground.far)
    jitter = street.box_jitter * slip
    scale = rows * FILL * exponential(rng.normal(0, jitter))
    foot = (
        columns / 2 + rng.normal(0, 0.35 * jitter) * rows,
        0.5 * (rows + scale * 0.98) + rng.normal(0, 0.4 * jitter) * rows,
    )
    picture = backdrop(camera, depth, rng.uniform(0.15, 0.85) * WIDTH, foot, scale, (rows, columns))
    behind, blocked = rng.random(), rng.random()
    if behind < street.bystanders:
        side = rng.choice((-1, 1))
        place = (columns / 2 + side * columns * rng.uniform(0.3, 0.55), foot[1] - 0.08 * scale)
        _add(camera, picture, draw_traits(rng), rng, place, 0.87 * scale, depth * 1.15, street)
    seen = np.zeros((rows, columns), np.float32)
    if traits is not None:
        seen = _add(camera, picture, traits, rng, foot, scale, depth, street)
    if blocked < street.occluders:
        seen *= 1 - _block(camera, picture, rng, foot, scale, depth, street)
    visible, infrared = develop(camera, sensor, picture, rng, size)
    mask = Image.fromarray((seen * 255 + 0.5).astype(np.uint8))
    return Photo(visible, infrared, mask.resize((size[1], size[0]), Image.Resampling.BOX))


def _add(
    camera: Camera,
    picture: Array,
    traits: Traits,
    rng: Draws,
    foot: tuple[float, float],
    scale: float,
    depth: float,
    street: Street,
) -> Array:
    """Draws a person and their shadow into the picture [4, H, W]; returns what the person covers [H, W], in [0, 1]."""
    layer = np.zeros((5, *picture.shape[1:]), np.float32)
    pose = draw_pose(rng, facing(camera, rng), street.standing)
    view = View(foot, scale, pose.heading, camera.tilt(depth))
    draw(layer, traits, pose, view, camera.light, rng.integer(0, 1 << 30))
    cast_shadow(camera, picture, layer[4], foot)
    _lay(picture, layer)
    return layer[4]


def _lay(picture: Array, layer: Array) -> None:
    """Lays a layer [5, H, W] over a picture [4, H, W]."""
    picture *= 1 - layer[4]
    picture += layer[:4]


def _block(
    camera: Camera,
    picture: Array,
    rng: Draws,
    foot: tuple[float, float],
    scale: float,
    depth: float,
    street: Street,
) -> Array:
    """Puts something between the camera and the person."""
    rows, columns = picture.shape[1:]
    kind = rng.choice(OCCLUDERS)
    side = rng.choice((-1, 1))
    if kind == "person":
        place = (columns / 2 + side * columns * rng.uniform(0.38, 0.55), foot[1] + 0.1 * scale)
        return _add(camera, picture, draw_traits(rng), rng, place, 1.13 * scale, depth * 0.9, street)
    layer = np.zeros((5, rows, columns), np.float32)
    column = columns * (0.5 + side * rng.uniform(0.05, 0.4))
    top = rows * rng.uniform(0.55, 0.8)
    tone = tinted(rng, (0.42, 0.41, 0.40, 0.5), 0.22)
    light = camera.light
    match kind:
        case "bush":
            tone = tinted(rng, (0.32, 0.39, 0.27, 0.8), 0.1)
            for _ in range(4):
                at = (column + rng.normal(0, 0.2) * columns, rows * rng.uniform(0.86, 1.0))
                _paint_leaves(layer, ball(layer, at, (columns * 0.3, rows - top)), tone, light)
        case "post":
            wide = columns * rng.uniform(0.04, 0.09)
            _paint(layer, tube(layer, [(column, -20.0), (column, rows + 20.0)], [wide] * 3), tone, light)
        case "bin":
            wide = columns * rng.uniform(0.25, 0.45)
            _paint(
                layer,
                lathe(layer, (column, top), (column, rows + 9.0), (0, 0.05, 1), (wide * 0.9, wide, wide * 0.92)),
                tone,
                light,
            )
        case _:
            for level in (top, 0.5 * (top + rows)):
                _paint(
                    layer, tube(layer, [(-20.0, level), (columns + 20.0, level)], [columns * 0.025] * 3), tone, light
                )
            for post in (column, column - side * columns * 0.9):
                _paint(layer, tube(layer, [(post, top), (post, rows + 20.0)], [columns * 0.03] * 3), tone, light)
    _lay(picture, layer)
    return layer[4]


def _paint(layer: Array, patch: Patch | None, tone: Array, light: Light) -> None:
    """Paints a plain shape where it is in the picture."""
    if patch is not None:
        paint(layer, patch, flat(tone), light, contact=0.1)


def _paint_leaves(layer: Array, patch: Patch | None, tone: Array, light: Light) -> None:
    """Paints foliage: a ragged edge and light on the leaves."""
    if patch is not None:
        leaves = noise(patch.across * 1.0, patch.along * 1.0, 1.7)
        patch.cover = patch.cover * (patch.across**2 + patch.along**2 + 0.22 * leaves < 0.9)
        paint(layer, patch, flat(tone), light, folds=0.16 * leaves, contact=0.05)
