"""The place a camera looks at: ground in perspective, a wall, and what stands before it; painted once per camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.synthetic_people.arithmetic import bell, cosine, enlarged, sine, standardised
from pipeline.synthetic_people.draws import Draws
from pipeline.synthetic_people.shapes import Array, mix, smooth

WIDTH, HEIGHT = 900, 460
GROUNDS = ("paving", "asphalt", "lawn", "cobbles", "tiles", "concrete")
WALLS = ("bricks", "shop", "hedge", "panels", "windows", "fence")
# Displayed colours and infrared reflectance, muted: the people carry the colour.
GROUND_TONES = {
    "paving": (0.60, 0.58, 0.55, 0.5), "asphalt": (0.42, 0.42, 0.44, 0.3), "lawn": (0.42, 0.46, 0.32, 0.75),
    "cobbles": (0.52, 0.49, 0.46, 0.45), "tiles": (0.66, 0.64, 0.60, 0.6), "concrete": (0.56, 0.56, 0.54, 0.5),
}  # fmt: skip
WALL_TONES = {
    "bricks": (0.52, 0.40, 0.35, 0.5), "shop": (0.56, 0.55, 0.53, 0.5), "hedge": (0.30, 0.36, 0.25, 0.8),
    "panels": (0.62, 0.62, 0.60, 0.6), "windows": (0.64, 0.60, 0.53, 0.6), "fence": (0.45, 0.47, 0.42, 0.6),
}  # fmt: skip


@dataclass(frozen=True)
class Ground:
    """The geometry of a view: ``focal`` and ``horizon`` in pixels, ``height`` of the camera and depths in metres."""

    focal: float
    height: float
    horizon: float
    near: float
    far: float
    wall: float

    def row(self, depth: float) -> float:
        """Returns the row at which the ground lies at a depth."""
        return self.horizon + self.focal * self.height / depth

    def size(self, depth: float) -> float:
        """Returns pixels per metre at a depth."""
        return self.focal / depth


def draw_ground(rng: Draws) -> Ground:
    """Returns the geometry of a camera some metres above the ground that sees people of about 100 to 230 pixels."""
    height, near = rng.uniform(2.3, 3.8), rng.uniform(6.0, 8.0)
    focal = 215 * near / 1.75
    far = near * rng.uniform(1.45, 1.75)
    return Ground(
        focal=float(focal),
        height=float(height),
        horizon=float(HEIGHT - 26 - focal * height / near),
        near=float(near),
        far=float(far),
        wall=float(far * rng.uniform(1.1, 1.3)),
    )


@lru_cache(maxsize=1)
def noise_texture() -> Array:
    """Returns soft noise [256, 256] of unit deviation that repeats at its edges."""
    rng = Draws(5)
    total = np.zeros((256, 256))
    for cells, weight in ((8, 1.0), (16, 0.6), (32, 0.4), (64, 0.3)):
        total += weight * enlarged(rng.normals(cells, cells), 256)
    return standardised(total)


def noise(x: Array, y: Array, period: float) -> Array:
    """Returns soft noise at coordinates of any unit; the pattern repeats every ``period``, interpolated."""
    texture = noise_texture()
    u, v = np.broadcast_arrays(x * (256 / period), y * (256 / period))
    left, top = np.floor(u), np.floor(v)
    fx, fy = u - left, v - top
    i, j = top.astype(np.int64) & 255, left.astype(np.int64) & 255
    i1, j1 = (i + 1) & 255, (j + 1) & 255
    upper = texture[i, j] * (1 - fx) + texture[i, j1] * fx
    lower = texture[i1, j] * (1 - fx) + texture[i1, j1] * fx
    return (upper * (1 - fy) + lower * fy).astype(np.float32)


def lines(values: Array, period: float, width: float, pixel: Array | float) -> Array:
    """Returns lines in [0, 1], ``width`` wide and ``period`` apart; ``pixel`` is what one pixel covers."""
    place = np.abs((values / period + 0.5) % 1 - 0.5) * period
    cover = np.clip((width / 2 - place) / pixel + 0.5, 0, 1)
    return cover * np.minimum(1, width / pixel * 1.0)


def tinted(rng: Draws, colour: tuple[float, ...], spread: float) -> Array:
    """Returns a colour [4] changed a little."""
    changed = np.array(colour) * rng.normal(1, spread) + spread / 7 * rng.normals(4)
    return np.clip(changed, 0.05, 0.9).astype(np.float32)


def paint_ground(rng: Draws, kind: str, ground: Ground) -> Array:
    """Returns the ground [4, H, W] out to the wall and beyond."""
    rows = np.maximum(np.arange(HEIGHT, dtype=np.float32)[:, None] + 0.5 - ground.horizon, 4)
    z = (ground.focal * ground.height / rows).astype(np.float32)
    x = ((np.arange(WIDTH, dtype=np.float32)[None] - WIDTH / 2) * z / ground.focal).astype(np.float32)
    turn = rng.uniform(-0.5, 0.5)
    across, deep = x * cosine(turn) + z * sine(turn), z * cosine(turn) - x * sine(turn)
    pixel = z / ground.focal + np.abs(sine(turn)) * z * z / (ground.focal * ground.height)
    pixel_deep = z * z / (ground.focal * ground.height)
    base = tinted(rng, GROUND_TONES[kind], 0.05)[:, None, None]
    grain = 0.04 * noise(across, deep, 3.1) + 0.05 * noise(across, deep, 17.0)
    match kind:
        case "paving" | "tiles" | "cobbles":
            size = {"paving": 0.6, "tiles": 0.9, "cobbles": 0.22}[kind]
            slab = noise(np.floor(across / size) * 7.3, np.floor(deep / size) * 5.1, 61.0)
            gap = np.maximum(lines(across, size, 0.025, pixel), lines(deep, size, 0.025, pixel_deep))
            picture = base * (1 + grain + 0.05 * slab - 0.22 * gap)
        case "asphalt":
            picture = base * (1 + grain + 0.05 * noise(across, deep, 0.9))
            line = lines(across - rng.uniform(0, 4), 5.0, 0.12, pixel) * smooth(noise(across, deep, 9.0), -1.2, -0.6)
            picture = mix(picture, (0.72, 0.71, 0.68, 0.8), 0.75 * line)
        case "lawn":
            blades = noise(across * 3, deep, 1.7)
            picture = base * (1 + 0.12 * blades + 2 * grain)
            path = smooth(np.abs(across - rng.uniform(-1, 1)), 1.75, 1.55)
            picture = mix(picture, (0.58, 0.55, 0.49, 0.5), path) * (1 + 0.04 * noise(across, deep, 1.1))
        case _:
            crack = lines(deep, 2.4, 0.03, pixel_deep) + lines(across, 2.4, 0.03, pixel)
            picture = base * (1 + 1.4 * grain - 0.18 * np.clip(crack, 0, 1))
    shade = smooth(noise(across, deep, rng.uniform(14, 26)), rng.uniform(-0.2, 0.6), 0.9)
    return (picture * (1 - rng.uniform(0.05, 0.28) * shade)).astype(np.float32)


def paint_wall(rng: Draws, kind: str, ground: Ground) -> tuple[Array, int]:
    """Returns what closes the view [4, rows, W], and the row of its foot."""
    foot = int(np.clip(ground.row(ground.wall), 8, HEIGHT - 8))
    metre = ground.size(ground.wall)
    y = ((foot - np.arange(foot, dtype=np.float32))[:, None] / metre).astype(np.float32)
    x = (np.arange(WIDTH, dtype=np.float32)[None] / metre + rng.uniform(0, 10)).astype(np.float32)
    pixel = 1 / metre
    base = tinted(rng, WALL_TONES[kind], 0.06)[:, None, None]
    picture = base * (1 + 0.05 * noise(x, y, 4.0) + 0.03 * noise(x, y, 0.9))
    dark = (0.2, 0.22, 0.24, 0.25)
    match kind:
        case "bricks":
            course = np.floor(y / 0.12)
            joint = np.maximum(lines(y, 0.12, 0.02, pixel), lines(x + 0.15 * (course % 2), 0.3, 0.02, pixel))
            picture = picture * (
                1 + 0.07 * noise(np.floor(x / 0.3 + 0.5 * (course % 2)) * 3.7, course * 2.9, 41.0) - 0.16 * joint
            )
            picture = mix(picture, dark, 0.8 * _opening(x, y, 3.2, 1.2, 0.0, 2.1, pixel))
        case "shop":
            pane = _opening(x, y, 2.4, 2.1, 0.35, 2.6, pixel)
            lit = 1.3 + 0.25 * noise(x, 0.3 * y, 7.0) + 0.7 * smooth(y, 0.6, 2.5) + 0.8 * lines(x + y, 2.4, 0.5, 0.5)
            inside = np.array(dark, np.float32)[:, None, None] * lit
            picture = mix(picture, inside, pane)
            picture = mix(picture, tinted(rng, (0.55, 0.42, 0.38, 0.6), 0.2), 0.8 * smooth(y, 2.75, 2.85))
        case "hedge":
            leaves = noise(x, y, 1.3)
            picture = base * (1 + 0.2 * leaves + 0.2 * noise(x, y, 6.0)) * (0.65 + 0.35 * smooth(y, 0.0, 0.9))
            trunk = lines(x + 0.05 * sine(y * 2), 3.7, 0.28, pixel) * smooth(y, 1.1, 0.9)
            picture = mix(picture, (0.3, 0.25, 0.21, 0.4), 0.8 * trunk)
        case "panels":
            joint = np.maximum(lines(x, 1.5, 0.03, pixel), lines(y, 1.1, 0.03, pixel))
            picture = picture * (1 - 0.2 * joint)
            picture = mix(
                picture, tinted(rng, (0.42, 0.44, 0.46, 0.4), 0.15), 0.9 * _opening(x, y, 4.5, 1.1, 0.0, 2.1, pixel)
            )
        case "windows":
            picture = mix(picture, dark, 0.75 * _opening(x, y, 1.9, 1.1, 0.95, 2.5, pixel))
            picture = mix(
                picture, (0.7, 0.69, 0.66, 0.6), 0.7 * lines(x + 0.95, 1.9, 0.05, pixel) * (y > 0.95) * (y < 2.5)
            )
            picture = picture * (1 - 0.22 * smooth(y, 0.45, 0.42))
        case _:
            behind = mix(picture, (0.34, 0.38, 0.31, 0.75), smooth(noise(x, y, 5.0) + 0.8 - 0.6 * y, -0.3, 0.5))
            bars = np.maximum(lines(x, 0.16, 0.035, pixel), lines(y - 0.15, 0.95, 0.05, pixel)) * (y < 1.2)
            picture = mix(behind, dark, 0.75 * bars)
    return (picture * (0.72 + 0.28 * smooth(y, 0.0, 0.35))).astype(np.float32), foot


def _opening(x: Array, y: Array, period: float, width: float, low: float, high: float, pixel: float) -> Array:
    """Returns doors or windows in [0, 1]: ``width`` wide every ``period``, from ``low`` to ``high`` metres."""
    sides = lines(x, period, width, pixel)
    return sides * np.clip((y - low) / pixel + 0.5, 0, 1) * np.clip((high - y) / pixel + 0.5, 0, 1)


def paint_things(rng: Draws, picture: Array, ground: Ground, count: int) -> None:
    """Draws what stands about between people and wall: planters, posts, bins, parcels of shade."""
    for _ in range(count):
        depth = rng.uniform(ground.far * 1.02, ground.wall)
        metre, foot, column = ground.size(depth), ground.row(depth), rng.uniform(0, WIDTH)
        half, tall = rng.uniform(0.12, 0.6) * metre, rng.uniform(0.5, 1.3) * metre
        kind = rng.choice(("bush", "box", "post"))
        half = {"bush": half, "box": 0.7 * half, "post": 0.06 * metre}[kind]
        left, right = int(max(column - half - 12, 0)), int(min(column + half + 12, WIDTH))
        top, bottom = int(max(foot - tall - 6, 0)), int(min(foot + 8, HEIGHT))
        if right - left < 4 or bottom - top < 4:
            continue
        area = picture[:, top:bottom, left:right]
        x = (np.arange(left, right, dtype=np.float32)[None] - column) / half
        y = (foot - np.arange(top, bottom, dtype=np.float32)[:, None]) / tall
        area *= 1 - 0.4 * bell(0.8 * x**2 + (y * tall / (0.07 * metre)) ** 2)
        if kind == "bush":
            rough = 0.12 * noise(x * half / metre, y * tall / metre, 1.1)
            cover = smooth(np.sqrt(x**2 + (2.0 * y - 1) ** 2) + rough, 1.0, 0.88)
            colour, light = tinted(rng, (0.31, 0.38, 0.26, 0.8), 0.12), 0.6 + 0.5 * np.clip(y, 0, 1) + 2 * rough
        else:
            cover = (
                np.clip((1 - np.abs(x)) * half + 0.5, 0, 1)
                * np.clip(y * tall + 0.5, 0, 1)
                * np.clip((1 - y) * tall + 0.5, 0, 1)
            )
            colour, light = tinted(rng, (0.4, 0.4, 0.4, 0.5), 0.25), 1.05 - 0.3 * np.clip(x + 0.3, 0, 1.2) ** 2 + 0 * y
        area += cover * (colour[:, None, None] * light - area)


def paint_scene(rng: Draws, ground: Ground, ground_kind: str, wall_kind: str) -> Array:
    """Returns the empty scene [4, HEIGHT, WIDTH]: red, green, blue as displayed, and infrared."""
    picture = paint_ground(rng, ground_kind, ground)
    wall, foot = paint_wall(rng, wall_kind, ground)
    picture[:, :foot] = wall
    seam = np.arange(HEIGHT - foot, dtype=np.float32)[:, None] / (0.5 * ground.size(ground.wall))
    picture[:, foot:] *= 1 - 0.3 * bell(seam**2)
    paint_things(rng, picture, ground, rng.integer(5, 12))
    return np.clip(picture, 0.02, 1)
