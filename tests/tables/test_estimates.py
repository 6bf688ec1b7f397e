import pytest
from scipy.stats import t

from pipeline.tables.estimates import estimate, estimate_over_splits, judge


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


def test_the_interval_over_splits_is_the_corrected_resampled_t():
    """By hand: splits 30, 40, 50, 60 have the variance 500/3, and of t with 3 degrees 95 % lie within 3.182446."""
    splits = [[29.0, 31.0], [40.0, 40.0], [50.0], [55.0, 60.0, 65.0]]
    found = estimate_over_splits(splits, test_to_train=0.5)
    half = 3.182446 * (500 / 3 * (1 / 4 + 0.5)) ** 0.5
    assert (found.mean, found.num_seeds) == (45.0, 4)
    assert (found.low, found.high) == pytest.approx((45.0 - half, 45.0 + half), abs=1e-4)
    assert half == pytest.approx(35.5808, abs=1e-4)


def test_the_interval_over_splits_is_wider_than_the_plain_one():
    scores = [40.0, 42.0, 39.0, 45.0, 41.0, 44.0, 43.0, 40.0, 38.0, 42.0]
    plain, found = estimate(scores), estimate_over_splits([[score] for score in scores], test_to_train=1.0)
    assert (found.mean, found.std, found.num_seeds) == (plain.mean, plain.std, 10)
    assert found.high - found.low == pytest.approx(11**0.5 * (plain.high - plain.low)), "of 1/10 + 1 beside 1/10"


def test_one_split_has_no_interval_however_many_seeds_it_has():
    found = estimate_over_splits([[40.0, 44.0]], test_to_train=1.0)
    assert (found.mean, found.std, found.low, found.high, found.num_seeds) == (42.0, None, None, None, 1)


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
