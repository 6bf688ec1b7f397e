"""Draws neck, head, face, hair and hats."""

from __future__ import annotations

import numpy as np

from pipeline.synthetic_people.arithmetic import bell, cosine, direction, power, sine
from pipeline.synthetic_people.body import Body
from pipeline.synthetic_people.shapes import Array, Patch, ball, flat, folds_of, length, mix, paint, smooth, tube, unit

CENTRE = 0.928  # height of the middle of the head, in heights
DARK, LIPS = (0.16, 0.11, 0.1, 0.2), (0.55, 0.26, 0.24, 0.5)

# How much larger than the skull hair or hat is.
GROWTH = {
    "crop": 1.03, "bald": 1.0, "short": 1.08, "bob": 1.16, "long": 1.12, "ponytail": 1.06, "bun": 1.06, "cap": 1.1,
    "scarf": 1.14,
}  # fmt: skip


def _turned(body: Body, patch: Patch) -> tuple[Array, Array, Array]:
    """Returns how far each pixel of the head faces its left, up and front."""
    heading = body.view.heading + body.pose.turn
    c, s = cosine(heading), sine(heading)
    tilt = 0.6 * body.view.tilt
    up = -patch.down * cosine(tilt) + patch.front * sine(tilt)
    near = patch.front * cosine(tilt) + patch.down * sine(tilt)
    return patch.right * c - near * s, up, patch.right * s + near * c


def _skull(layer: Array, body: Body, grow: float, rise: float) -> Patch | None:
    """Returns the head, ``grow`` times its size and ``rise`` heights higher."""
    heading = body.view.heading + body.pose.turn
    size = body.traits.build.head * grow
    width = length(0.043 * cosine(heading), 0.053 * sine(heading)) * size
    centre = body.view.place((0, CENTRE + rise + body.bones.lift, 0.012))[0]
    return ball(layer, centre, (body.pixels(width), body.pixels(0.066 * size)), taper=0.22)


def draw_neck(layer: Array, body: Body) -> None:
    """Draws the neck, in the shadow of the chin."""
    lift = body.bones.lift
    points = body.view.points((0, 0.82 + lift, -0.008), (0, 0.885 + lift, 0.002))
    thick = 0.027 * power(body.traits.build.girth, 0.6)
    patch = tube(layer, points, [body.pixels(r) for r in (thick * 1.15, thick, thick)])
    if patch is not None:
        scarf = body.traits.hair_style == "scarf"
        paint(layer, patch, flat(body.traits.hat if scarf else body.traits.skin), body.light, folds=-0.22, contact=0.1)


def _hair_mask(style: str, left: Array, up: Array, front: Array) -> Array:
    """Returns where the head is covered by hair, in [0, 1]."""
    match style:
        case "bald":
            return np.zeros_like(up)
        case "crop":
            return smooth(up - 0.75 * front - 0.06, -0.06, 0.06)
        case "bob" | "long":
            fringe = smooth(up - 0.5 - 0.12 * np.abs(left), -0.06, 0.06)
            return np.maximum(fringe, smooth(0.66 - 0.3 * up - front, -0.06, 0.08))
        case "cap":
            return smooth(up - 0.28 - 0.1 * front, -0.04, 0.04)
        case "scarf":
            face = (left / 0.72) ** 2 + ((up + 0.08) / 0.82) ** 2
            return smooth(face + 1.4 * smooth(front, 0.2, 0.0) - 1, -0.06, 0.06)
    return smooth(up - 0.62 * front + 0.02, -0.07, 0.07)


def draw_head(layer: Array, body: Body) -> None:
    """Draws face and hair; a hat covers the crown."""
    traits = body.traits
    patch = _skull(layer, body, 1.0, 0.0)
    if patch is None:
        return
    left, up, front = _turned(body, patch)
    relief = -0.12 * bell((front / 0.14) ** 2 + (up / 0.2) ** 2) - 0.14 * smooth(up, -0.55, -0.95)
    albedo = flat(traits.skin)
    if cosine(body.view.heading + body.pose.turn) > -0.4:
        albedo, nose = _face(albedo, left, up, unit(front))
        relief += nose
    paint(layer, patch, albedo, body.light, folds=relief, contact=0.22)
    cover = _skull(layer, body, GROWTH[traits.hair_style], 0.003)
    if cover is not None and traits.hair_style != "bald":
        _draw_cover(layer, body, cover)
    if traits.hair_style == "cap":
        _draw_brim(layer, body)
    if traits.hair_style == "bun":
        _knot(layer, body, 0.052, (0, 0.975 + body.bones.lift, -0.045))


def _face(skin: Array, left: Array, up: Array, ahead: Array) -> tuple[Array, Array]:
    """Returns the albedo of a face, and the relief of its nose."""
    beside = np.abs(left) - 0.36
    eyes = bell((beside / 0.14) ** 2 + ((up - 0.1) / 0.07) ** 2)
    brows = bell((beside / 0.2) ** 2 + ((up - 0.27) / 0.05) ** 2)
    mouth = bell((left / 0.22) ** 2 + ((up + 0.5) / 0.05) ** 2)
    albedo = mix(skin, DARK, (0.5 * eyes + 0.3 * brows) * ahead)
    albedo = mix(albedo, LIPS, 0.38 * mouth * ahead)
    return albedo, 0.12 * bell((left / 0.12) ** 2 + ((up + 0.12) / 0.25) ** 2) * ahead


def _draw_cover(layer: Array, body: Body, patch: Patch) -> None:
    """Draws hair, hat or scarf over the head."""
    traits = body.traits
    left, up, front = _turned(body, patch)
    style = traits.hair_style
    mask = _hair_mask(style, left, up, front)
    patch.cover = patch.cover * mask
    patch.near = patch.near * 0
    strands = 0.1 * sine(direction(left, front) * 11 + body.seed % 5) + 0.16 * smooth(up, 0.3, 0.8)
    worn = style in ("cap", "scarf")
    paint(
        layer,
        patch,
        flat(traits.hat if worn else traits.hair),
        body.light,
        folds=strands * (0.4 if worn else 1),
        contact=0,
    )
    if style == "cap":
        under = _skull(layer, body, 1.04, 0.0)
        if under is not None:
            left, up, front = _turned(body, under)
            under.cover = under.cover * smooth(up - 0.75 * front, -0.06, 0.06) * smooth(up, 0.36, 0.26)
            paint(layer, under, flat(traits.hair), body.light, folds=-0.1, contact=0)


def _draw_brim(layer: Array, body: Body) -> None:
    """Draws the peak of a cap where the head faces."""
    heading = body.view.heading + body.pose.turn
    front = cosine(heading)
    if front < -0.5:
        return
    y = CENTRE + 0.026 + body.bones.lift
    inner, outer = (0.0, y, 0.04), (0.03 * body.pose.turn, y - 0.008, 0.082)
    points = body.view.points(inner, outer)
    wide = body.pixels(0.012 + 0.02 * max(front, 0))
    if front > 0.4:
        mid = body.view.points((-0.034, y, 0.05), (0.034, y, 0.05))
        points, wide = mid, body.pixels(0.012)
    patch = tube(layer, points, [wide, wide, wide * 0.8])
    if patch is not None:
        paint(layer, patch, flat(body.traits.hat), body.light, folds=-0.18, contact=0.25)


def _knot(layer: Array, body: Body, size: float, at: tuple[float, float, float]) -> None:
    """Draws a bun of hair."""
    patch = ball(layer, body.view.place(at)[0], (body.pixels(size * 0.5), body.pixels(size * 0.45)))
    if patch is not None:
        paint(layer, patch, flat(body.traits.hair), body.light, folds=folds_of(patch, 0.1, body.seed), contact=0.1)


def draw_hair_behind(layer: Array, body: Body) -> None:
    """Draws hair, or the cloth of a scarf, that falls behind the head and over the shoulders."""
    traits, lift = body.traits, body.bones.lift
    match traits.hair_style:
        case "long":
            ends, radii = ((0, 0.93 + lift, -0.028), (0, 0.745 + lift, -0.05)), (0.046, 0.052, 0.036)
        case "bob":
            ends, radii = ((0, 0.93 + lift, -0.016), (0, 0.875 + lift, -0.02)), (0.047, 0.05, 0.046)
        case "ponytail":
            ends, radii = ((0, 0.955 + lift, -0.055), (0, 0.80 + lift, -0.085)), (0.014, 0.024, 0.009)
        case "scarf":
            ends, radii = ((0, 0.93 + lift, -0.01), (0, 0.80 + lift, -0.012)), (0.046, 0.044, 0.075)
        case _:
            return
    patch = tube(layer, body.view.points(*ends), [body.pixels(r) for r in radii])
    if patch is None:
        return
    scarf = traits.hair_style == "scarf"
    strands = 0.13 * sine(patch.across * 10 + body.seed % 7) - 0.12 * smooth(patch.along, 0.6, 1.0)
    paint(
        layer,
        patch,
        flat(traits.hat if scarf else traits.hair),
        body.light,
        folds=strands * (0.5 if scarf else 1),
        contact=0.2,
    )
