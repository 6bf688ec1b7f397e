import math

import numpy as np
import pytest

from pipeline.synthetic_people import arithmetic
from pipeline.synthetic_people.draws import Draws

ANGLES = np.linspace(-20, 20, 4001)
SHARES = np.linspace(-1, 1, 2001)


@pytest.mark.parametrize(
    ("ours", "theirs", "values", "error"),
    [
        (arithmetic.sine, np.sin, ANGLES, 6e-8),
        (arithmetic.cosine, np.cos, ANGLES, 6e-8),
        (arithmetic.arcsine, np.arcsin, SHARES, 7e-5),
        (arithmetic.logarithm, np.log, np.exp(ANGLES), 1e-12),
        (arithmetic.bell, lambda x: np.exp(-x), np.abs(ANGLES), 0.02),
        (lambda x: arithmetic.power(x, 0.7), lambda x: x**0.7, np.abs(ANGLES), 1e-12),
    ],
    ids=["sine", "cosine", "arcsine", "logarithm", "bell", "power"],
)
def test_a_function_is_as_near_to_the_real_one_as_it_says(ours, theirs, values, error):
    np.testing.assert_allclose(ours(values), theirs(values), rtol=0, atol=error)


def test_the_exponential_is_near_the_real_one():
    np.testing.assert_allclose(arithmetic.exponential(ANGLES), np.exp(ANGLES), rtol=1e-13)


def test_directions_have_their_quadrant():
    y, x = np.sin(ANGLES), np.cos(ANGLES)
    np.testing.assert_allclose(arithmetic.direction(y, x), np.arctan2(y, x), atol=2e-5)


@pytest.mark.parametrize("angle", [0.0, 0.3, -2.0, 17.0])
def test_a_float_has_the_bits_of_an_array(angle):
    assert arithmetic.sine(angle) == arithmetic.sine(np.array([angle]))[0]
    assert arithmetic.power(abs(angle), 0.6) == arithmetic.power(np.array([abs(angle)]), 0.6)[0]
    assert isinstance(arithmetic.power(abs(angle), 0.6), float)


def test_lines_between_knots_and_their_ends():
    assert arithmetic.interpolate(np.array([-1.0, 0.5, 2.0, 9.0]), (0, 1, 3), (2, 4, 0)).tolist() == [2, 3, 2, 0]


def test_an_enlarged_texture_repeats_and_keeps_a_constant():
    assert np.allclose(arithmetic.enlarged(np.ones((4, 7)), 256), 1)
    texture = arithmetic.enlarged(Draws(1).normals(8, 8), 256)
    steps = np.abs(np.diff(texture, axis=0, append=texture[:1]))
    assert steps[-1].max() <= steps[:-1].max()


def test_draws_are_the_same_for_the_same_key_alone():
    assert Draws(1, 2).normals(3, 4).tolist() == Draws(1, 2).normals(3, 4).tolist()
    assert Draws(1, 2).random() != Draws(2, 1).random()
    assert [Draws(5).normal(0, 1)] == Draws(5).normals(1).tolist()


def test_draws_have_their_distribution():
    draws = Draws(3)
    uniform = [draws.uniform(2, 6) for _ in range(20_000)]
    assert 2 <= min(uniform) < 2.01 < 5.99 < max(uniform) < 6
    assert math.isclose(np.mean(uniform), 4, abs_tol=0.03)
    normal = draws.normals(200, 100)
    assert math.isclose(normal.std(), 1, abs_tol=0.02)
    assert math.isclose(normal.mean(), 0, abs_tol=0.02)
    kinds = [draws.weighted({"a": 1, "b": 3, "c": 0}) for _ in range(8000)]
    assert kinds.count("c") == 0
    assert math.isclose(kinds.count("b") / 8000, 0.75, abs_tol=0.02)
    assert sorted(draws.shuffled("abc")) == ["a", "b", "c"]
    assert {draws.integer(2, 5) for _ in range(100)} == {2, 3, 4}
    assert len({tuple(draws.shuffled("abc")) for _ in range(100)}) == 6
