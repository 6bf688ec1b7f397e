"""Draws what people carry: seen, or hidden, by the side they turn to the camera."""

from __future__ import annotations

import numpy as np

from pipeline.synthetic_people.arithmetic import cosine, sine
from pipeline.synthetic_people.body import Body
from pipeline.synthetic_people.pose import Joint
from pipeline.synthetic_people.shapes import Array, Patch, ball, flat, folds_of, length, paint, smooth, tube, unit


def _board(layer: Array, body: Body, centre: Joint, size: tuple[float, float, float]) -> Patch | None:
    """Returns a rounded box of half ``size`` (sideways, up, forward) about a joint."""
    c, s = cosine(body.view.heading), sine(body.view.heading)
    width = length(size[0] * c, size[2] * s)
    height = size[1] * cosine(body.view.tilt) + abs(size[2] * c) * sine(body.view.tilt) * 0.5
    return ball(layer, body.view.place(centre)[0], (body.pixels(width), body.pixels(height)), boxy=True)


def draw_backpack(layer: Array, body: Body) -> None:
    """Draws a backpack: whole from behind, its depth from the side, its rim from the front."""
    colour, lift = body.traits.bag.colour, body.bones.lift
    patch = _board(layer, body, (0, 0.70 + lift, -0.105 * body.traits.build.girth), (0.078, 0.105, 0.05))
    if patch is not None:
        _, front = body.sides(patch)
        pocket = (
            smooth(np.abs(patch.along - 0.45), 0.42, 0.38) * smooth(np.abs(patch.across), 0.8, 0.72) * (front < 0.2)
        )
        zip_line = smooth(np.abs(patch.along + 0.12), 0.07, 0.02) + 0.6 * smooth(np.abs(patch.along + 0.62), 0.06, 0.02)
        folds = 0.10 * pocket - 0.28 * unit(zip_line) + folds_of(patch, 0.06, body.seed)
        paint(layer, patch, flat(colour), body.light, folds=folds, contact=0.3)


def draw_bag(layer: Array, body: Body) -> None:
    """Draws what hangs at a hip, at a shoulder or from a hand, with its handle."""
    bag, view, lift = body.traits.bag, body.view, body.bones.lift
    side = bag.side
    hand = body.bones.fingers[1 if side > 0 else 0]
    reach = 0.115 * body.traits.build.girth
    match bag.kind:
        case "crossbody":
            centre, size, start = (side * reach, 0.50 + lift, 0.02), (0.03, 0.058, 0.08), None
        case "tote":
            centre, size = (side * (reach + 0.025), 0.56 + lift, -0.01), (0.028, 0.085, 0.085)
            start = (side * 0.085, 0.815 + lift, 0.0)
        case _:
            centre, size, start = (hand[0], hand[1] - 0.085, hand[2]), (0.022, 0.058, 0.075), hand
    if start is not None:
        for shift in (-0.035, 0.035):
            ends = view.points(start, (centre[0], centre[1] + 0.8 * size[1], centre[2] + shift))
            handle = tube(layer, ends, [body.pixels(0.006)] * 3)
            if handle is not None:
                paint(layer, handle, flat(bag.colour), body.light, contact=0.0)
    patch = _board(layer, body, centre, size)
    if patch is not None:
        flap = -0.22 * smooth(np.abs(patch.along + 0.1), 0.1, 0.03)
        paint(layer, patch, flat(bag.colour), body.light, folds=flap + folds_of(patch, 0.05, body.seed), contact=0.28)
