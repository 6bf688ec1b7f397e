"""A body about to be drawn: who, how they stand, and how wide they are from where the camera looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.synthetic_people.arithmetic import cosine, interpolate, power, sine
from pipeline.synthetic_people.pose import Pose, Skeleton, View
from pipeline.synthetic_people.shapes import Array, Light, Patch, unit
from pipeline.synthetic_people.traits import Build, Traits

Floats = Sequence[float] | np.ndarray

# Height above the ground, half breadth and half depth of an average body, in units of its height.
LEVELS = np.array((0.44, 0.50, 0.56, 0.61, 0.68, 0.74, 0.785, 0.81, 0.83, 0.85))
BREADTHS = np.array((0.082, 0.090, 0.082, 0.075, 0.082, 0.092, 0.098, 0.090, 0.055, 0.030))
DEPTHS = np.array((0.060, 0.068, 0.060, 0.054, 0.060, 0.064, 0.058, 0.050, 0.038, 0.030))


@dataclass(frozen=True)
class Body:
    """One person about to be drawn: all that the drawing of each part needs."""

    traits: Traits
    pose: Pose
    view: View
    bones: Skeleton
    light: Light
    seed: int

    def pixels(self, length: float) -> float:
        """Returns a length in heights as pixels."""
        return length * self.view.scale

    def sides(self, patch: Patch) -> tuple[Array, Array]:
        """Returns how far each pixel of an upright shape faces the person's left and front, in [-1, 1]."""
        c, s = cosine(self.view.heading), sine(self.view.heading)
        depth = np.sqrt(np.maximum(1 - patch.across**2, 0))
        return patch.across * c - depth * s, patch.across * s + depth * c


def half_widths(body: Body, heights: Floats, ease: Floats, deeper: Floats) -> list[float]:
    """Returns half the width in pixels of the clothed trunk at heights, as seen from where the camera looks.

    ``ease`` is how far the cloth stands off, ``deeper`` how much more it does in front and behind, in heights.
    """
    breadth, depth = girth(np.asarray(heights), body.traits.build)
    sideways = (breadth + ease) * cosine(body.view.heading)
    forward = (depth + ease + deeper) * sine(body.view.heading)
    return (body.view.scale * np.sqrt(sideways * sideways + forward * forward)).tolist()


def girth(heights: np.ndarray, build: Build) -> tuple[np.ndarray, np.ndarray]:
    """Returns half breadth and half depth of a trunk at heights above the ground, all in heights."""
    breadth, depth = interpolate(heights, LEVELS, BREADTHS), interpolate(heights, LEVELS, DEPTHS)
    hips = unit(1 - np.abs(heights - 0.5) / 0.1)
    waist = unit(1 - np.abs(heights - 0.62) / 0.07)
    bust = unit(1 - np.abs(heights - 0.725) / 0.05)
    chest = unit((heights - 0.68) / 0.06)
    breadth *= 1 + (0.1 * hips - 0.1 * waist) * (build.curve - 0.4) + (build.shoulders - 1) * chest
    depth *= 1 + 1.2 * waist * max(0.0, build.girth - 1) + 0.22 * bust * max(0.0, build.curve - 0.4)
    thick = power(build.girth, 1 - unit((heights - 0.8) / 0.04))
    return breadth * thick, depth * thick
