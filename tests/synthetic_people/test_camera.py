import numpy as np
import pytest

from pipeline.config import parse
from pipeline.synthetic_people.camera import Sensor, develop, hang_camera, kinds_of
from pipeline.synthetic_people.draws import Draws

QUIET = {
    "camera_gain": 0.0, "camera_exposure": 0.0, "camera_gamma": 0.0, "image_gain": 0.0, "image_exposure": 0.0,
    "noise": 0.0, "infrared_noise": 0.0, "blur": 0.0, "jpeg_lowest": 80, "jpeg_highest": 80, "infrared_luminance": 0.8,
}  # fmt: skip


def seen(colours, **changes):
    """Returns the mean level of flat pictures of the colours by one camera, visible and infrared."""
    sensor = parse(Sensor, QUIET | changes, "sensor")
    camera = hang_camera(Draws(1), sensor, "asphalt", "bricks")
    levels = []
    for colour in colours:
        picture = np.ones((4, 48, 24), np.float32) * np.array(colour, np.float32)[:, None, None]
        images = develop(camera, sensor, picture, Draws(2), (32, 16))
        levels.append([np.asarray(image).reshape(-1, 3).mean(0) for image in images])
    return np.array(levels)


def test_infrared_is_grey_and_mostly_luminance():
    (_, dark), (_, bright) = seen([(0.2, 0.2, 0.2, 0.5), (0.6, 0.6, 0.6, 0.5)])
    assert np.ptp(dark) == 0
    assert bright[0] > dark[0] + 50


def test_different_colours_can_look_the_same_in_infrared():
    red, green = (0.5, 0.2, 0.2, 0.5), (0.2, 0.353, 0.2, 0.5)
    (red_day, red_night), (green_day, green_night) = seen([red, green])
    assert np.abs(red_day - green_day).max() > 30
    assert abs(red_night[0] - green_night[0]) <= 1


def test_one_colour_can_look_different_in_infrared_by_its_material():
    (day, cotton), (other_day, nylon) = seen([(0.3, 0.3, 0.4, 0.9), (0.3, 0.3, 0.4, 0.2)])
    np.testing.assert_array_equal(day, other_day)
    assert cotton[0] - nylon[0] > 20


def test_material_has_no_share_where_infrared_is_all_luminance():
    (_, cotton), (_, nylon) = seen([(0.3, 0.3, 0.4, 0.9), (0.3, 0.3, 0.4, 0.2)], infrared_luminance=1.0)
    np.testing.assert_array_equal(cotton, nylon)


@pytest.mark.parametrize("cameras", [1, 2, 6, 9])
def test_every_camera_gets_a_place(cameras):
    kinds = kinds_of(Draws(0), cameras)
    assert len(kinds) == cameras
    assert len(set(kinds[:6])) == min(cameras, 6)
