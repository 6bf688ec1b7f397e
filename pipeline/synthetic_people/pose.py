"""How a person stands or walks, and where that puts their joints in a picture."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

from pipeline.synthetic_people.arithmetic import cosine, power, sine
from pipeline.synthetic_people.draws import Draws
from pipeline.synthetic_people.shapes import Point
from pipeline.synthetic_people.traits import Build

Joint = tuple[float, float, float]
"""A point of the body: towards its left, up, and forward; 1 is the height of the person."""

THIGH, SHIN, ANKLE, HIP = 0.245, 0.232, 0.036, 0.513
UPPER_ARM, FORE_ARM, HAND = 0.168, 0.142, 0.05
SHOULDER = 0.792


@dataclass(frozen=True)
class Pose:
    """Angles in radians: ``heading`` 0 faces the viewer, pi/2 faces right; ``phase`` runs through one double step."""

    heading: float
    phase: float
    swing: float
    elbow: float
    turn: float


@dataclass(frozen=True)
class View:
    """Puts joints into a picture: ``foot`` in pixels, ``scale`` pixels per height, ``tilt`` of the camera downwards."""

    foot: Point
    scale: float
    heading: float
    tilt: float

    def place(self, joint: Joint) -> tuple[Point, float]:
        """Returns where the joint lies in the picture (pixels) and how near the viewer it is (in heights)."""
        left, up, forward = joint
        x = left * cosine(self.heading) + forward * sine(self.heading)
        near = forward * cosine(self.heading) - left * sine(self.heading)
        y = up * cosine(self.tilt) - near * sine(self.tilt)
        return (self.foot[0] + self.scale * x, self.foot[1] - self.scale * y), near

    def points(self, *joints: Joint) -> list[Point]:
        """Returns the joints in the picture, in pixels."""
        return [self.place(joint)[0] for joint in joints]

    def near(self, joint: Joint) -> float:
        """Returns how near the viewer the joint is, in heights."""
        return self.place(joint)[1]


@dataclass(frozen=True)
class Skeleton:
    """Joints of both sides: index 0 is the person's right, 1 the left; ``lift`` is how far a stride raises the body."""

    lift: float
    shoulders: tuple[Joint, Joint]
    elbows: tuple[Joint, Joint]
    wrists: tuple[Joint, Joint]
    fingers: tuple[Joint, Joint]
    hips: tuple[Joint, Joint]
    knees: tuple[Joint, Joint]
    ankles: tuple[Joint, Joint]
    toes: tuple[Joint, Joint]


def draw_pose(rng: Draws, heading: float, standing: float) -> Pose:
    """Returns a pose of someone seen from ``heading``; a share ``standing`` does not walk."""
    swing = rng.uniform(0.02, 0.1) if rng.random() < standing else rng.uniform(0.28, 0.46)
    return Pose(
        heading=heading,
        phase=rng.uniform(0, 2 * pi),
        swing=float(swing),
        elbow=rng.uniform(0.15, 0.5),
        turn=rng.normal(0, 0.12),
    )


def _arm(side: int, build: Build, pose: Pose, lift: float, loaded: bool) -> tuple[Joint, Joint, Joint, Joint]:
    """Returns shoulder, elbow, wrist and fingers; a loaded arm hangs straight."""
    swing = pose.swing * sine(pose.phase) * side * (0.35 if loaded else 0.95)
    bend = 0.06 if loaded else pose.elbow * (0.7 + 0.5 * max(0.0, sine(pose.phase) * side) * pose.swing / 0.4)
    out = 0.15 + 0.09 * (build.girth - 0.9) + (0.05 if loaded else 0)
    shoulder = (side * 0.086 * build.shoulders * power(build.girth, 0.4), SHOULDER + lift, 0.0)
    elbow = _step(shoulder, UPPER_ARM, swing, side * out)
    wrist = _step(elbow, FORE_ARM, swing + bend, side * out * 0.2)
    return shoulder, elbow, wrist, _step(wrist, HAND, swing + bend * 1.2, 0.0)


def _step(start: Joint, length: float, forward: float, out: float) -> Joint:
    """Returns the end of a bone that hangs from ``start``, swung forward and out by angles."""
    return (
        start[0] + length * sine(out),
        start[1] - length * cosine(out) * cosine(forward),
        start[2] + length * cosine(out) * sine(forward),
    )


def stand(build: Build, pose: Pose, loaded: tuple[bool, bool]) -> Skeleton:
    """Returns the joints of a body in a pose, its lower foot on the ground; ``loaded`` names arms that carry."""
    angles = []
    for side in (-1, 1):
        turn = pose.phase + (0.0 if side > 0 else pi)
        thigh = pose.swing * build.stride * sine(turn)
        bent = max(0.0, cosine(turn + 0.25))
        knee = 0.05 + 1.9 * pose.swing * bent * bent + 0.12 * pose.swing
        angles.append((thigh, thigh - knee))
    pelvis = max(THIGH * cosine(thigh) + SHIN * cosine(shin) + ANKLE for thigh, shin in angles)
    lift = pelvis - HIP
    hips, knees, ankles, toes = [], [], [], []
    for side, (thigh, shin) in zip((-1, 1), angles, strict=True):
        hip = (side * (0.044 + 0.006 * build.curve) * sqrt(build.girth), pelvis, 0.0)
        knee_at = _step(hip, THIGH, thigh, -side * 0.012)
        ankle = _step(knee_at, SHIN, shin, -side * 0.02)
        pitch = min(0.0, shin + 0.25) * 0.9 + max(0.0, shin) * 0.5
        toe = (ankle[0] + side * 0.018, ankle[1] - 0.018 + 0.085 * sine(pitch), ankle[2] + 0.088 * cosine(pitch))
        hips.append(hip)
        knees.append(knee_at)
        ankles.append(ankle)
        toes.append((toe[0], max(toe[1], 0.012), toe[2]))
    right = _arm(-1, build, pose, lift, loaded[0])
    left = _arm(1, build, pose, lift, loaded[1])
    arms = list(zip(right, left, strict=True))
    return Skeleton(
        lift, arms[0], arms[1], arms[2], arms[3], (hips[0], hips[1]), (knees[0], knees[1]), (ankles[0], ankles[1]),
        (toes[0], toes[1]),
    )  # fmt: skip
