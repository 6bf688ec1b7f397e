import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batches.counter_rng import uniform


def test_numbers_stay_what_they_were_on_every_platform() -> None:
    numbers = uniform(1, "crop", 2, np.array([0, 1, 10**12]), 2)
    expected = [
        [0.3364670751914026, 0.22807679972045758],
        [0.7332881057995089, 0.7768662088756452],
        [0.3402716017918874, 0.2282121152335218],
    ]
    np.testing.assert_array_equal(numbers, expected)


@given(
    positions=st.lists(st.integers(0, 2**40), min_size=1, max_size=20),
    draws=st.integers(1, 5),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None)
def test_a_number_depends_on_its_own_place_alone(positions: list[int], draws: int, seed: int) -> None:
    together = uniform(seed, "flip", 3, np.array(positions), draws + 2)
    for index, position in enumerate(positions):
        np.testing.assert_array_equal(uniform(seed, "flip", 3, np.array([position]), draws)[0], together[index, :draws])


def test_numbers_are_spread_evenly_over_the_unit_interval() -> None:
    numbers = uniform(0, "any", 0, np.arange(200_000), 3)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.stack([np.histogram(column, bins=100, range=(0, 1))[0] for column in numbers.T])
    chi_square = ((counts - 2000) ** 2 / 2000).sum(axis=1)
    assert (chi_square < 99 + 5 * np.sqrt(2 * 99)).all()


@pytest.mark.parametrize("other", ["position", "draw", "epoch", "seed", "stream"])
def test_neighbours_are_independent(other: str) -> None:
    size = 100_000
    places = np.arange(size)
    here = uniform(5, "flip", 7, places, 2)
    there = {
        "position": uniform(5, "flip", 7, places + 1, 1)[:, 0],
        "draw": here[:, 1],
        "epoch": uniform(5, "flip", 8, places, 1)[:, 0],
        "seed": uniform(6, "flip", 7, places, 1)[:, 0],
        "stream": uniform(5, "crop", 7, places, 1)[:, 0],
    }[other]
    correlation = np.corrcoef(here[:, 0], there)[0, 1]
    assert abs(correlation) < 4 / np.sqrt(size)
    joint = np.histogram2d(here[:, 0], there, bins=10, range=[[0, 1], [0, 1]])[0]
    assert ((joint - size / 100) ** 2 / (size / 100)).sum() < 99 + 5 * np.sqrt(2 * 99)
