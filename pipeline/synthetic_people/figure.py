"""Draws a person from traits, pose and view.

Every shape knows its place on the body, so that what is worn in front, at the side or behind shows where it should.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import copysign

from pipeline.synthetic_people.arithmetic import cosine
from pipeline.synthetic_people.bags import draw_backpack, draw_bag
from pipeline.synthetic_people.body import Body
from pipeline.synthetic_people.head import draw_hair_behind, draw_head, draw_neck
from pipeline.synthetic_people.lower import draw_leg, draw_pelvis, draw_skirt
from pipeline.synthetic_people.pose import Pose, View, stand
from pipeline.synthetic_people.shapes import Array, Light
from pipeline.synthetic_people.traits import Traits
from pipeline.synthetic_people.upper import draw_arm, draw_torso

Part = Callable[[Array, Body], None]


def draw(layer: Array, traits: Traits, pose: Pose, view: View, light: Light, seed: int) -> None:
    """Draws a person over ``layer`` [5, H, W], farther parts first; ``seed`` places the creases of the clothes."""
    carrying = 1 if traits.bag.side > 0 else 0
    loaded = (traits.bag.kind == "handbag" and carrying == 0, traits.bag.kind == "handbag" and carrying == 1)
    body = Body(traits, pose, view, stand(traits.build, pose, loaded), light, seed)
    for _, part in sorted(_parts(body, carrying), key=lambda entry: entry[0]):
        part(layer, body)


def _parts(body: Body, carrying: int) -> list[tuple[float, Part]]:
    """Returns the parts of a person, each with how near the viewer it is drawn (the trunk is at 0)."""
    traits, view, bones = body.traits, body.view, body.bones
    away = cosine(view.heading)
    parts: list[tuple[float, Part]] = [
        (0.0, draw_torso),
        (-0.003, draw_neck),
        (0.02, draw_head),
        (-0.05 * away, draw_hair_behind),
        (-0.006, draw_skirt if "skirt" in traits.lower.kind else draw_pelvis),
    ]
    for side in (0, 1):
        leg = min(-0.08 + 0.2 * view.near(bones.knees[side]), -0.01)
        arm = view.near(bones.shoulders[side]) + 0.3 * view.near(bones.wrists[side])
        parts.append((leg, partial(draw_leg, side=side)))
        parts.append((1.5 * arm if abs(arm) > 0.012 else 0.018, partial(draw_arm, side=side)))
    match traits.bag.kind:
        case "backpack":
            parts.append((-0.09 * away + 0.003, draw_backpack))
        case "crossbody" | "tote":
            parts.append((0.19 * view.near((traits.bag.side, 0, 0.1)) + 0.001, draw_bag))
        case "handbag":
            hand = view.near(bones.wrists[carrying])
            parts.append((1.6 * hand + copysign(0.03, hand), draw_bag))
    return parts
