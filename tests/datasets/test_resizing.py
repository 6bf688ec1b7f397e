import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.datasets.resizing import resize

SIZES = st.integers(1, 90)


def pillows(pixels: np.ndarray, height: int, width: int, resampling: str = "BICUBIC") -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling[resampling]))


@given(old=st.tuples(SIZES, SIZES), new=st.tuples(SIZES, SIZES), seed=st.integers(0, 2**32 - 1))
@example(old=(1, 1), new=(90, 90), seed=0)
@example(old=(40, 90), new=(80, 7), seed=1)  # the width is reduced, the height is not
@example(old=(90, 7), new=(40, 80), seed=2)  # the other way: the case in which Pillow chooses
@settings(deadline=None)
def test_every_bit_is_pillows_at_any_size(old: tuple[int, int], new: tuple[int, int], seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (*old, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(pixels, *new, "bicubic"), pillows(pixels, *new))


@pytest.mark.parametrize("old", [(128, 64), (206, 79), (137, 301)])
@pytest.mark.parametrize("new", [(256, 128), (384, 192), (288, 144)])
def test_every_bit_is_pillows_at_the_sizes_that_are_trained_on(old: tuple[int, int], new: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).choice(np.array([0, 1, 127, 254, 255], np.uint8), (*old, 3))  # overshoots
    np.testing.assert_array_equal(resize(pixels, *new, "bicubic"), pillows(pixels, *new))


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(pixels, 12, 7, "bicubic"), pixels)


def test_what_can_not_be_written_to_is_resized_and_the_result_is_in_one_piece() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 7, 3), dtype=np.uint8)
    expected = pillows(pixels, 20, 9)
    pixels.flags.writeable = False
    resized = resize(pixels, 20, 9, "bicubic")
    np.testing.assert_array_equal(resized, expected)
    assert resized.flags.c_contiguous, "its bytes are written as they lie"


def test_lanczos_is_pillows_and_another_filter() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 20, 3), dtype=np.uint8)
    for new in ((80, 40), (20, 10)):
        resized = resize(pixels, *new, "lanczos")
        np.testing.assert_array_equal(resized, pillows(pixels, *new, "LANCZOS"))
        assert not np.array_equal(resized, resize(pixels, *new, "bicubic"))
