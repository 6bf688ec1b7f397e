import numpy as np
import pytest

from pipeline.neighbors.cameras import center_cameras

CAMERAS = np.tile([3, 1, 6], 20)


def features(rows=60, columns=4):
    return np.random.default_rng(0).normal(3, 1, size=(rows, columns)).astype(np.float32)


def test_centred_cameras_have_mean_zero_and_differ_within_as_before():
    given = features()
    given[CAMERAS == 6] += 10
    centered = center_cameras(given, CAMERAS)
    assert centered.dtype == np.float64
    for camera in (1, 3, 6):
        before, after = given[camera == CAMERAS].astype(np.float64), centered[camera == CAMERAS]
        np.testing.assert_allclose(after.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(np.diff(after, axis=0), np.diff(before, axis=0), atol=1e-12)


def test_a_shift_of_one_camera_moves_nothing():
    given, shifted = features(), features()
    shifted[CAMERAS == 1] += 8
    np.testing.assert_allclose(center_cameras(shifted, CAMERAS), center_cameras(given, CAMERAS), atol=1e-5)


@pytest.mark.parametrize("scale", [2.0**-40, 1, 2.0**40])
def test_images_at_the_mean_of_their_camera_keep_their_feature_whatever_its_length(scale):
    given, cameras = features() * np.float32(scale), CAMERAS.copy()
    cameras[5], cameras[[7, 8]] = 9, 4
    given[8] = given[7]
    centered = center_cameras(given, cameras)
    np.testing.assert_array_equal(centered[[5, 7, 8]], given[[5, 7, 8]])
    others = np.setdiff1d(np.arange(60), [5, 7, 8])
    np.testing.assert_array_equal(centered[others], center_cameras(given[others], cameras[others]))


def test_what_was_given_stays_as_it_is():
    given = features()
    center_cameras(given, CAMERAS)
    np.testing.assert_array_equal(given, features())


def test_cameras_must_be_given_for_every_feature():
    with pytest.raises(ValueError, match=r"cameras: expected .*\[5\].* got float64 \[4\]"):
        center_cameras(np.ones((5, 3)), np.ones(4))


def test_broken_rows_are_named():
    given = features()
    given[7, 1], given[41, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"features: 2 rows hold NaN or infinity.*\[7, 41\]"):
        center_cameras(given, CAMERAS)
