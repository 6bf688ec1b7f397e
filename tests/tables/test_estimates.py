import pytest
from scipy.stats import t

from pipeline.tables.estimates import estimate, judge


def test_the_interval_is_students():
    values = [60.1, 61.3, 59.8, 60.6]
    found = estimate(values)
    low, high = t.interval(0.95, 3, loc=found.mean, scale=found.std / 2)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.num_seeds == 4


def test_one_seed_has_no_spread_and_no_interval():
    found = estimate([60.0])
    assert (found.mean, found.std, found.low, found.high, found.num_seeds) == (60.0, None, None, None, 1)
    assert str(judge(found, 62.0, 0.5)) == "below (-2.0; one seed: no interval)"


@pytest.mark.parametrize(
    ("published", "said"),
    [
        (60.4, "reproduced (-0.4; interval does not cover it)"),
        (60.1, "reproduced (-0.1; interval covers it)"),
        (62.0, "below (-2.0; interval does not cover it)"),
        (57.0, "above (+3.0; interval does not cover it)"),
    ],
)
def test_verdict_and_interval_are_told_apart(published, said):
    assert str(judge(estimate([59.9, 60.0, 60.1]), published, 0.5)) == said


def test_few_seeds_cover_a_number_that_they_do_not_reproduce():
    assert str(judge(estimate([58.0, 60.0]), 65.0, 0.5)) == "below (-6.0; interval covers it)"
