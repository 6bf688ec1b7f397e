"""Draws what is worn below the waist: hips or skirt, legs and shoes."""

from __future__ import annotations

import numpy as np

from pipeline.synthetic_people.arithmetic import arcsine, bell, power, sine
from pipeline.synthetic_people.body import Body, half_widths
from pipeline.synthetic_people.pose import Joint
from pipeline.synthetic_people.shapes import Array, flat, folds_of, lathe, mix, paint, smooth, tube, unit

LEG_EASE = {"trousers": (0.008, 0.014), "slim": (0.004, 0.004), "wide": (0.010, 0.030), "shorts": (0.010, 0.018)}


def draw_pelvis(layer: Array, body: Body) -> None:
    """Draws hips and seat in the cloth of the lower garment."""
    traits, view, lift = body.traits, body.view, body.bones.lift
    widths = half_widths(body, (0.60, 0.55, 0.50, 0.455), (0.004, 0.004, 0.004, -0.003), (0.002,) * 4)
    top, bottom = view.points((0, 0.60 + lift, 0), (0, 0.455 + lift, 0))
    patch = lathe(layer, top, bottom, (0.0, 0.35, 0.7, 1.0), widths)
    if patch is not None:
        fly = -0.12 * smooth(np.abs(patch.across), 0.2, 0.0) * smooth(patch.along, 0.6, 1.0)
        folds = folds_of(patch, 0.08, body.seed + 31) + fly
        paint(layer, patch, flat(traits.lower.colour), body.light, folds=folds, contact=0.0)


def draw_skirt(layer: Array, body: Body) -> None:
    """Draws a skirt from the waist to its hem, in vertical folds."""
    traits, view, lift = body.traits, body.view, body.bones.lift
    low = 0.513 - 0.245 * min(traits.lower.length, 1) - 0.232 * max(traits.lower.length - 1, 0)
    step = 0.35 * abs(body.bones.ankles[0][2] - body.bones.ankles[1][2])
    flare = 0.10 * (0.5 - low)
    widths = half_widths(body, (0.61, 0.5, max(low, 0.44)), (0.006, 0.006, flare), (0, 0, step))
    top, bottom = view.points((0, 0.61 + lift, 0), (0, low - 0.012 + lift, 0))
    knots = (0.0, 0.11 / (0.622 - low), 1.0)
    patch = lathe(layer, top, bottom, knots, widths)
    if patch is None:
        return
    height = 0.61 - patch.along * (0.622 - low)
    ripple = 0.005 * sine(patch.across * 9 + body.seed % 9)
    patch.cover = patch.cover * unit((height - low - 0.012 * (1 - patch.front) + ripple) * view.scale + 0.5)
    pleats = 0.09 * sine(arcsine(patch.across) * 8 + body.seed % 11) * smooth(patch.along, 0.1, 0.6)
    folds = pleats + folds_of(patch, 0.05, body.seed) - 0.12 * smooth(patch.along, 0.9, 1.0)
    paint(layer, patch, flat(traits.lower.colour), body.light, folds=folds, contact=0.28)


def draw_leg(layer: Array, body: Body, side: int) -> None:
    """Draws a leg, bare below the hem of what covers it, and its shoe."""
    traits, view, bones = body.traits, body.view, body.bones
    lower, girth = traits.lower, traits.build.girth
    draw_foot(layer, body, side)
    thick = body.pixels(power(girth, 0.8) * (0.97 + 0.1 * traits.build.curve))
    radii = [r * thick for r in (0.052, 0.048, 0.034, 0.034, 0.035, 0.021)]
    skirt = lower.kind in ("skirt", "long skirt")
    loose, hem = LEG_EASE.get(lower.kind, (0.0, 0.0))
    cut = -1.0 if skirt else lower.length
    ease = (cut, body.pixels(loose) * girth, body.pixels(hem) * girth)
    points = view.points(bones.hips[side], bones.knees[side], bones.ankles[side])
    patch = tube(layer, points, radii, ease=ease)
    if patch is None:
        return
    covered = unit((cut + 0.02 * (1 - patch.across**2) - patch.along) * patch.scale + 0.5)
    albedo = mix(flat(traits.skin), lower.colour, covered)
    creases = folds_of(patch, 0.12, body.seed + 57 * side) * (0.5 + smooth(np.abs(patch.along - 1), 0.5, 0.0))
    under = bell(((patch.along - cut) * patch.scale / 5) ** 2) * (1 - covered) * 0.35
    fade = 0.05 * smooth(np.abs(patch.along - 0.55), 0.5, 0.0) * patch.front
    far = 0.10 if view.near(bones.knees[side]) < view.near(bones.knees[1 - side]) else 0.0
    folds = covered * (creases + fade) - under - far - 0.1 * smooth(patch.along, 0.3, 0.0)
    paint(layer, patch, albedo, body.light, folds=folds, contact=0.22)


def draw_foot(layer: Array, body: Body, side: int) -> None:
    """Draws a shoe with its sole."""
    ankle, toe = body.bones.ankles[side], body.bones.toes[side]
    heel: Joint = (ankle[0], ankle[1] - 0.012, ankle[2] - 0.018)
    points = body.view.points(heel, toe)
    patch = tube(layer, points, [body.pixels(r) for r in (0.022, 0.023, 0.017)])
    if patch is not None:
        colour = body.traits.shoes
        sole = tuple(0.45 * x + (0.35 if sum(colour[:3]) > 1.0 else 0.02) for x in colour)
        albedo = mix(flat(colour), sole, smooth(patch.down, 0.45, 0.7))
        paint(layer, patch, albedo, body.light, contact=0.2)
