"""Draws what is worn above the waist: trunk, arms and hands."""

from __future__ import annotations

import numpy as np

from pipeline.synthetic_people.arithmetic import arcsine, bell, power, sine
from pipeline.synthetic_people.body import Body, half_widths
from pipeline.synthetic_people.shapes import Array, Patch, flat, folds_of, lathe, mix, paint, smooth, tube, unit

LOOSE = {
    "tee": 0.010,
    "shirt": 0.011,
    "sweater": 0.012,
    "hoodie": 0.016,
    "jacket": 0.016,
    "coat": 0.017,
    "dress": 0.006,
}
FOLDS = {"tee": 0.10, "shirt": 0.12, "sweater": 0.09, "hoodie": 0.12, "jacket": 0.14, "coat": 0.11, "dress": 0.10}


def wave(values: Array, period: float, share: float, soft: float) -> Array:
    """Returns stripes in [0, 1] along ``values``: ``share`` of each ``period``, edges ``soft`` wide."""
    place = np.abs((values / period) % 1 - 0.5)
    return unit((share / 2 - place) * period / soft + 0.5)


def cloth(body: Body, patch: Patch, height: Array, *, sleeve: bool) -> Array:
    """Returns the albedo of the upper garment [4, h, w]; ``height`` is above the ground in heights."""
    upper = body.traits.upper
    base = flat(upper.colour)
    soft = 1.6 / body.view.scale
    match upper.pattern:
        case "stripes":
            return mix(base, upper.second, wave(height, 0.042, 0.42, soft))
        case "block":
            edge = 0.66 if not sleeve else 0.7
            return mix(base, upper.second, smooth(height, edge - soft, edge + soft))
        case "check":
            lines = wave(height, 0.05, 0.34, soft) + wave(arcsine(patch.across) * 0.1 + 0.01, 0.05, 0.34, soft)
            return mix(base, upper.second, 0.42 * lines)
        case "raglan" if sleeve:
            return flat(upper.second)
        case "print" if not sleeve:
            left, front = body.sides(patch)
            inside = smooth(np.abs(left), 0.58, 0.5) * smooth(np.abs(height - 0.7), 0.052, 0.044) * (front > 0)
            grain = 0.75 + 0.25 * wave(height, 0.021, 0.6, soft)
            return mix(base, upper.second, inside * grain)
    return base


def draw_torso(layer: Array, body: Body) -> None:
    """Draws the trunk in its garment, with collar, opening, straps and hem."""
    traits, view, lift = body.traits, body.view, body.bones.lift
    upper, build = traits.upper, traits.build
    loose = LOOSE[upper.kind]
    low = upper.hem
    heights = np.array([0.85, 0.83, 0.81, 0.785, 0.74, 0.68, 0.61, 0.56, 0.50, 0.44, 0.38, 0.32])
    heights = np.append(heights[heights > low + 0.01], low)
    flare = {"dress": 0.16, "coat": 0.10}.get(upper.kind, 0.0) * np.maximum(0, 0.5 - heights)
    ease = np.where(heights < 0.8, loose, loose * 0.5) * build.girth + flare
    widths = half_widths(body, heights, ease, np.zeros_like(heights))
    top, bottom = view.points((0, 0.85 + lift, -0.004), (0, low + lift, 0.006))
    patch = lathe(layer, top, bottom, (0.85 - heights) / (0.85 - low), widths)
    if patch is None:
        return
    height = 0.85 - patch.along * (0.85 - low)
    sag = 0.35 * sine(view.tilt) * widths[-1] / view.scale * (patch.front - 0.5)
    ripple = 0.0035 * sine(patch.across * 7 + body.seed % 7)
    patch.cover = patch.cover * unit((height - low - 0.014 + sag + ripple) * view.scale + 0.5)
    albedo = cloth(body, patch, height + 0.03 * sine(view.tilt) * patch.front, sleeve=False)
    albedo = _front(body, patch, height, albedo)
    folds = folds_of(patch, FOLDS[upper.kind], body.seed)
    folds = folds * (0.6 + 0.8 * smooth(np.abs(height - 0.6), 0.12, 0.0)) - 0.16 * smooth(height, low + 0.045, low)
    folds = folds + 0.06 * smooth(height, 0.68, 0.76) - 0.05 * smooth(height, 0.64, 0.56)
    paint(layer, patch, albedo, body.light, folds=folds, contact=0.28)


def _front(body: Body, patch: Patch, height: Array, albedo: Array) -> Array:
    """Returns the garment with what only its front, or only its back, shows."""
    traits = body.traits
    upper = traits.upper
    left, front = body.sides(patch)
    soft = 2.0 / body.view.scale
    ahead = smooth(front, 0.0, 0.15)
    dark = tuple(0.6 * x for x in upper.colour)
    match upper.kind:
        case "jacket" | "coat":
            gap = 0.2 if upper.kind == "jacket" else 0.05 + 0.6 * smooth(height, 0.68, 0.82)
            opening = smooth(np.abs(left), gap + 0.05, gap - 0.02) * ahead
            lapel = smooth(np.abs(np.abs(left) - gap - 0.05), 0.09, 0.03) * ahead * 0.7
            albedo = mix(mix(albedo, dark, lapel), upper.second, opening)
        case "shirt":
            albedo = mix(albedo, dark, 0.6 * smooth(np.abs(left - 0.03), 0.07, 0.02) * ahead)
            albedo = mix(albedo, dark, 0.5 * smooth(height, 0.815 - soft, 0.815 + soft))
        case "hoodie":
            pocket = smooth(np.abs(left), 0.62, 0.56) * smooth(np.abs(height - 0.555), 0.035, 0.03) * ahead
            hood = smooth(height, 0.775 + 0.03 * np.abs(left), 0.79 + 0.03 * np.abs(left)) * smooth(front, 0.5, -0.1)
            albedo = mix(albedo, dark, 0.35 * pocket + 0.5 * hood)
    deep = {"tee": 0.035, "dress": 0.05, "shirt": 0.04, "sweater": 0.022, "jacket": 0.03}.get(upper.kind, 0.015)
    neck = 0.832 - deep * unit(front) ** 2 * (1 - unit(np.abs(left) / 0.5) ** 2) + 0.012 * smooth(front, 0.0, -0.1)
    albedo = mix(albedo, traits.skin, smooth(height, neck - soft, neck + soft) * (np.abs(left) < 0.75))
    strap = None
    if traits.bag.kind == "backpack":
        strap = smooth(np.abs(np.abs(left) - 0.56), 0.15, 0.1) * ahead * (height > 0.6)
    elif traits.bag.kind == "crossbody":
        line = 0.66 - traits.bag.side * left * 0.13 * np.where(front > 0, 1, 1)
        strap = smooth(np.abs(height - line), 0.018, 0.011)
    return albedo if strap is None else mix(albedo, traits.bag.colour, strap)


def draw_arm(layer: Array, body: Body, side: int) -> None:
    """Draws an arm in its sleeve, and its hand."""
    traits, view, bones = body.traits, body.view, body.bones
    upper, girth = traits.upper, traits.build.girth
    hand = tube(
        layer, view.points(bones.wrists[side], bones.fingers[side]), [body.pixels(r) for r in (0.014, 0.017, 0.010)]
    )
    if hand is not None:
        paint(layer, hand, flat(traits.skin), body.light, contact=0.15)
    thick = body.pixels(power(girth, 0.7))
    radii = [r * thick for r in (0.0265, 0.027, 0.022, 0.022, 0.0215, 0.0145)]
    loose = body.pixels(LOOSE[upper.kind] * 0.55) * girth
    ease = (upper.sleeve, loose * 0.8, loose * (1.5 if upper.sleeve < 1 else 0.9))
    patch = tube(layer, view.points(bones.shoulders[side], bones.elbows[side], bones.wrists[side]), radii, ease=ease)
    if patch is None:
        return
    covered = unit((upper.sleeve + 0.03 * (1 - patch.across**2) - patch.along) * patch.scale + 0.5)
    garment = cloth(body, patch, 0.80 - 0.155 * patch.along, sleeve=True)
    albedo = mix(flat(traits.skin), garment, covered)
    under = bell(((patch.along - upper.sleeve) * patch.scale / 4) ** 2) * (1 - covered) * 0.35
    creases = folds_of(patch, FOLDS[upper.kind], body.seed + 91 * side + 13)
    creases = creases * (0.5 + smooth(np.abs(patch.along - 1), 0.5, 0.0))
    far = 0.12 if view.near(bones.shoulders[side]) < -0.02 else 0.0
    paint(layer, patch, albedo, body.light, folds=covered * creases - under - far, contact=0.26)
