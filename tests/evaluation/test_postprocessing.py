import numpy as np
import pytest
import torch

from pipeline.evaluation.postprocessing import unit_rows, whiten


def features(rows, columns, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, columns)).astype(np.float32) @ rng.standard_normal((columns, columns)) + 3


def test_unit_rows_have_length_one_and_keep_their_direction():
    given = features(9000, 5).astype(np.float32)
    rows = unit_rows(given)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(rows * np.linalg.norm(given, axis=1, keepdims=True), given, rtol=1e-5, atol=1e-6)


def test_scale_moves_no_direction_however_extreme():
    given = features(20, 7).astype(np.float32)
    for scale in (2.0**100, 2.0**-100):
        np.testing.assert_array_equal(unit_rows(given * np.float32(scale)), unit_rows(given))


def test_zero_rows_are_named_with_their_side():
    given = np.ones((5000, 3))
    given[[7, 4500]] = 0
    with pytest.raises(ValueError, match=r"query: 2 rows are all zeros.*\[7, 4500\]"):
        unit_rows(given, "query")


def test_whitened_features_have_covariance_one_where_they_were_fitted():
    fitted_on = features(500, 8)
    whitened = whiten(fitted_on, fitted_on=fitted_on, components=8)
    np.testing.assert_allclose(np.cov(whitened, rowvar=False), np.eye(8), atol=1e-4)


def test_distances_of_whitened_features_are_mahalanobis_distances():
    fitted_on, given = features(500, 6), features(12, 6, seed=1)
    whitened = whiten(torch.from_numpy(given), fitted_on=fitted_on, components=6)
    inverse = np.linalg.inv(np.cov(fitted_on, rowvar=False))
    apart = given[1:] - given[:-1]
    expected = np.einsum("nd,de,ne->n", apart, inverse, apart)
    np.testing.assert_allclose(np.square(whitened[1:] - whitened[:-1]).sum(axis=1), expected, rtol=1e-3)


def test_the_first_components_are_those_of_the_largest_variance():
    rng = np.random.default_rng(2)
    fitted_on = rng.standard_normal((400, 3)) * [0.1, 5.0, 1.0]
    whitened = whiten(fitted_on, fitted_on=fitted_on, components=2)
    for component, column in enumerate((1, 2)):
        assert abs(np.corrcoef(whitened[:, component], fitted_on[:, column])[0, 1]) > 0.99


@pytest.mark.parametrize(
    ("fitted_on", "components", "message"),
    [
        (np.ones((50, 4)), 0, "expected 1 to 4"),
        (np.ones((50, 4)), 5, "expected 1 to 4"),
        (np.ones((3, 4)), 3, "expected 1 to 2"),
        (np.repeat(np.eye(3, 4), 20, axis=0), 4, "vary in 2 directions only, got 4"),
        (np.ones((50, 4)), 2, "all the same"),
        (np.tile(np.float32([0.1, 0.2, 0.3, 0.7]), (50, 1)), 1, "all the same"),
        (np.ones((50, 5)), 2, "fitted_on: expected 4 columns, as features has, got 5"),
        (np.full((50, 4), np.nan), 2, "fitted_on: 50 rows hold NaN"),
    ],
)
def test_what_cannot_be_whitened_is_an_error_that_says_why(fitted_on, components, message):
    with pytest.raises(ValueError, match=message):
        whiten(np.ones((2, 4)), fitted_on=fitted_on, components=components)
