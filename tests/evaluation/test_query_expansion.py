import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.query_expansion import expand_queries


def oracle(query, gallery, neighbors, alpha):
    """The equation, one query at a time, in float64."""
    query, gallery = (
        side / np.linalg.norm(side.astype(np.float64), axis=1, keepdims=True) for side in (query, gallery)
    )
    rows = []
    for one in query:
        cosines = gallery @ one
        nearest = np.argsort(-np.round(cosines, 12), kind="stable")[:neighbors]
        total = one + sum(max(0.0, cosines[row]) ** alpha * gallery[row] for row in nearest)
        rows.append(total / np.linalg.norm(total))
    return np.array(rows)


def random_sides(seed=0, num_query=30, num_gallery=200, columns=12):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((count, columns), dtype=np.float32) for count in (num_query, num_gallery))


@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("neighbors", [1, 5, 200])
def test_queries_become_the_weighted_mean_of_the_equation(alpha, neighbors):
    query, gallery = random_sides()
    if alpha == 0 and neighbors == 200:
        gallery = np.abs(gallery)
    expanded = expand_queries(query, gallery, neighbors=neighbors, alpha=alpha)
    assert expanded.dtype == np.float32
    np.testing.assert_allclose(expanded, oracle(query, gallery, neighbors, alpha), atol=2e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 2)), min_size=3, max_size=9),
    st.integers(1, 2),
    st.sampled_from([0.0, 0.5, 2.0]),
)
def test_ties_and_duplicates_go_to_the_lower_gallery_row(rows, neighbors, alpha):
    rows = np.array(rows, dtype=np.float32)
    query, gallery = rows[:1], rows[1:]
    expanded = expand_queries(query, gallery, neighbors=neighbors, alpha=alpha)
    np.testing.assert_allclose(expanded, oracle(query, gallery, neighbors, alpha), atol=2e-6)


def test_obtuse_neighbours_have_no_weight():
    query = np.array([[1, 0]], dtype=np.float32)
    gallery = np.array([[1, 1], [-1, 1]], dtype=np.float32)
    for alpha in (0.5, 3):
        one, both = (expand_queries(query, gallery, neighbors=count, alpha=alpha) for count in (1, 2))
        np.testing.assert_array_equal(one, both)


def test_large_alpha_leaves_a_query_with_far_neighbours_alone():
    query, gallery = random_sides(1)
    moved = [1 - (expand_queries(query, gallery, neighbors=5, alpha=a) * unit(query)).sum(axis=1) for a in (0, 3, 60)]
    assert (moved[0] > moved[1]).all()
    assert (moved[1] > moved[2]).all()
    assert moved[2].max() < 1e-3


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_length_of_features_does_not_matter():
    query, gallery = random_sides(2)
    expected = expand_queries(query, gallery, neighbors=4, alpha=3)
    lengths = np.exp2(np.arange(len(gallery)) % 7).astype(np.float32)[:, None]
    np.testing.assert_array_equal(expand_queries(8 * query, gallery * lengths, neighbors=4, alpha=3), expected)


def test_tensors_are_taken_like_arrays():
    query, gallery = random_sides(3)
    tensors = (torch.from_numpy(side) for side in (query, gallery))
    np.testing.assert_array_equal(
        expand_queries(*tensors, neighbors=3, alpha=1), expand_queries(query, gallery, neighbors=3, alpha=1)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"neighbors": 0}, "expected 1 to 4, the size of the gallery, got 0"),
        ({"neighbors": 5}, "expected 1 to 4, the size of the gallery, got 5"),
        ({"alpha": -1.0}, "alpha: expected 0"),
        ({"alpha": np.nan}, "alpha: expected 0"),
        ({"query": np.zeros((1, 2))}, r"query: 1 rows are all zeros.*\[0\]"),
        ({"gallery": np.full((4, 2), np.nan)}, "gallery: 4 rows hold NaN"),
        ({"gallery": -np.ones((4, 2))}, r"query after expansion: 1 rows are all zeros.*\[0\]"),
    ],
)
def test_what_cannot_be_expanded_is_an_error_that_says_why(change, message):
    given = {"query": np.ones((1, 2)), "gallery": np.ones((4, 2)), "neighbors": 1, "alpha": 0.0}
    with pytest.raises(ValueError, match=message):
        expand_queries(**given | change)
