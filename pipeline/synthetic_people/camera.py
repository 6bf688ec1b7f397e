"""A camera: where it looks from, its light, and how a scene becomes a picture, visible or infrared."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from PIL import Image, ImageFilter

from pipeline.config import Record
from pipeline.synthetic_people.arithmetic import bell, direction, exponential, power
from pipeline.synthetic_people.draws import Draws
from pipeline.synthetic_people.scene import GROUNDS, HEIGHT, WALLS, WIDTH, Ground, draw_ground, paint_scene
from pipeline.synthetic_people.shapes import Array, Light, Point, unit
from pipeline.synthetic_people.traits import LUMINANCE

PERSON = 1.75  # metres
BRIGHT = 0.15  # logarithm of the exposure of an average camera


class Sensor(Record):
    """How much cameras, and the images of one camera, differ in light and quality.

    Gain (red against blue, as light is warm or cold), exposure and gamma are the standard deviations of logarithms.
    ``noise`` is the largest standard deviation (of 1) and ``blur`` the largest radius, in pixels of the finished
    image, that a camera may have. ``infrared_luminance`` is the share of infrared brightness that follows luminance;
    the rest depends on the material.
    """

    camera_gain: float
    camera_exposure: float
    camera_gamma: float
    image_gain: float
    image_exposure: float
    noise: float
    infrared_noise: float
    blur: float
    jpeg_lowest: int
    jpeg_highest: int
    infrared_luminance: float


@dataclass(frozen=True)
class Camera:
    """A camera as it hangs: its empty scene and all that stays the same from image to image."""

    ground: Ground
    scene: Image.Image
    light: Light
    shadow: tuple[float, float]
    heading: float
    gain: Array
    gamma: float
    noise: float
    blur: float
    jpeg: int

    def tilt(self, depth: float) -> float:
        """Returns how far down the camera looks at a person at ``depth``, in radians."""
        return float(direction(self.ground.height - 0.5 * PERSON, depth))


def hang_camera(rng: Draws, sensor: Sensor, ground_kind: str, wall_kind: str) -> Camera:
    """Returns a new camera over a new scene."""
    ground = draw_ground(rng)
    scene = paint_scene(rng, ground, ground_kind, wall_kind)
    side, up = rng.uniform(-0.75, 0.75), rng.uniform(0.35, 0.75)
    size = sqrt(side * side + up * up + 0.49)
    light = Light(side / size, up / size, 0.7 / size, rng.uniform(0.45, 0.7))
    exposure = BRIGHT + rng.normal(0, sensor.camera_exposure)
    return Camera(
        ground=ground,
        scene=_image(255 * scene),
        light=light,
        shadow=(float(-side * rng.uniform(0.5, 1.2)), rng.uniform(0.15, 0.45)),
        heading=rng.choice((0.0, pi / 2)) + rng.normal(0, 0.3),
        gain=exponential(exposure + colour_cast(rng, sensor.camera_gain)),
        gamma=exponential(rng.normal(0, sensor.camera_gamma)),
        noise=float(sensor.noise * rng.uniform(0.25, 1)),
        blur=float(sensor.blur * rng.uniform(0.1, 1)),
        jpeg=rng.integer(sensor.jpeg_lowest, sensor.jpeg_highest + 1),
    )


def colour_cast(rng: Draws, spread: float) -> Array:
    """Returns the logarithm of what warm or cold light does to red, green and blue, with a little tint."""
    warm, tint = rng.normal(0, spread), rng.normal(0, spread / 4)
    return np.array((warm, tint, -warm), np.float32)


def kinds_of(rng: Draws, cameras: int) -> list[tuple[str, str]]:
    """Returns the ground and the wall of each camera, as different as they come."""
    grounds = [GROUNDS[i % len(GROUNDS)] for i in range(cameras)]
    walls = [WALLS[i % len(WALLS)] for i in range(cameras)]
    return list(zip(rng.shuffled(grounds), rng.shuffled(walls), strict=True))


def backdrop(camera: Camera, depth: float, column: float, foot: Point, scale: float, shape: tuple[int, int]) -> Array:
    """Returns the scene [4, H, W] behind someone at ``depth`` (metres) and ``column`` whose feet lie at ``foot``.

    ``scale`` is the pixels of a person's height in the returned picture.
    """
    ratio = min(camera.ground.size(depth) * PERSON / scale, HEIGHT / shape[0], WIDTH / shape[1])
    height, width = shape[0] * ratio, shape[1] * ratio
    left = float(np.clip(column - foot[0] * ratio, 0, WIDTH - width))
    top = float(np.clip(camera.ground.row(depth) - foot[1] * ratio, 0, HEIGHT - height))
    window = (left, top, left + width, top + height)
    size = (shape[1], shape[0])
    view = camera.scene.resize(size, Image.Resampling.BILINEAR, box=window)
    return np.stack([np.asarray(band) for band in view.split()]) * np.float32(1 / 255)


def cast_shadow(camera: Camera, picture: Array, alpha: Array, foot: Point) -> None:
    """Darkens the ground where the figure of ``alpha`` [H, W] keeps the light away."""
    lean, strength = camera.shadow
    height, width = alpha.shape
    flat = 0.34  # how long a shadow is against the figure, as the tilted ground shows it
    mask = Image.fromarray((alpha * 255).astype(np.uint8)).reduce(2)
    # Pillow asks for the source of each target pixel: rows above the feet come from higher up the figure, sheared.
    fy = foot[1] / 2
    affine = (1.0, lean, -lean * fy, 0.0, 1 / flat, fy - fy / flat)
    cast = mask.transform(mask.size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
    cast = cast.filter(ImageFilter.BoxBlur(2)).resize((width, height), Image.Resampling.BILINEAR)
    y = np.arange(height, dtype=np.float32)[:, None] - foot[1] + 1
    x = np.arange(width, dtype=np.float32)[None] - foot[0]
    reach = height / 256
    contact = 0.55 * bell((x / (26 * reach)) ** 2) * bell((y / (7 * reach)) ** 2)
    picture *= (1 - strength * np.asarray(cast, np.float32) / 255) * (1 - contact)


def develop(
    camera: Camera, sensor: Sensor, picture: Array, rng: Draws, size: tuple[int, int]
) -> tuple[Image.Image, Image.Image]:
    """Returns a picture [4, h, w] as the camera delivers it, visible and infrared, at ``size`` (rows, columns).

    Infrared is mostly luminance; the rest depends on the material alone. Its noise and lamp are its own.
    """
    rows, columns = size
    image = _image(picture * 255).resize((columns, rows), Image.Resampling.BOX)
    bands = [np.asarray(band) for band in image.filter(ImageFilter.BoxBlur(camera.blur)).split()]
    share = sensor.infrared_luminance
    weights = (*(share * weight for weight in LUMINANCE), 1 - share)
    infrared = sum(np.float32(weight) * band for weight, band in zip(weights, bands, strict=True))
    gain = camera.gain * exponential(rng.normal(0, sensor.image_exposure) + colour_cast(rng, sensor.image_gain))
    lamp = 1.1 * exponential(rng.normal(0, sensor.image_exposure))
    bands = [*bands[:3], np.asarray(infrared, np.uint8)]
    curves = [*(_curve(g, camera.gamma) for g in gain), _curve(lamp, 0.9 * camera.gamma)]
    noise = (camera.noise,) * 3 + (sensor.infrared_noise,)
    grain = rng.normals(4, rows, columns).astype(np.float32)
    for index, band in enumerate(bands):
        light = curves[index][band]
        light += grain[index] * (0.5 + 0.9 * light) * np.float32(noise[index])
        bands[index] = (unit(light) * 255 + 0.5).astype(np.uint8)
    day = Image.merge("RGB", [Image.fromarray(band) for band in bands[:3]])
    return day, Image.merge("RGB", [Image.fromarray(bands[3])] * 3)


def _curve(gain: float, gamma: float) -> Array:
    """Returns brightness for each of 256 levels, by a gain and then a gamma."""
    return power(unit(np.arange(256) * (gain / 255)), gamma).astype(np.float32)


def _image(levels: Array) -> Image.Image:
    """Returns four bands [4, h, w] of levels 0..255 as one picture (Pillow's only plain four-band mode is CMYK)."""
    pixels = np.minimum(np.maximum(levels + 0.5, 0), 255).astype(np.uint8)
    return Image.merge("CMYK", [Image.fromarray(band) for band in pixels])


def facing(camera: Camera, rng: Draws) -> float:
    """Returns the heading of someone passing: along the camera's path either way, or across it."""
    way = rng.weighted({0.0: 2, pi: 2, pi / 2: 1, -pi / 2: 1})
    return camera.heading + way + rng.normal(0, 0.28)
