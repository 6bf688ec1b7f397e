import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.neighbors.nearest import Neighbors, find_nearest
from pipeline.neighbors.reciprocal import CONVENTIONS, encode_reciprocal, expand_encoding
from pipeline.neighbors.space import Space


def squared_distances(features):
    rows = features.astype(np.float64)
    return np.square(rows[:, None] - rows).sum(axis=2)


def distances_by(convention, squared):
    """d as the docstring states it for each code, zero where all images are the same."""
    largest = np.where(squared.max(axis=1) > 0, squared.max(axis=1), 1)[:, None]
    return {
        "cluster_contrast": squared,
        "zhong": squared / largest,
        "deep_person_reid": squared**2 / largest**2,
    }[convention]


def oracle_encoding(squared, *, k1, convention):
    """Steps 1 to 3 with sets and dense matrices; ties go to the lower row."""
    order = np.argsort(squared, axis=1, kind="stable")
    weights = np.exp(-distances_by(convention, squared))

    def reciprocal(image, k):
        return {image} | {other for other in order[image, :k].tolist() if image in order[other, :k]}

    num_neighbors = k1 if convention == "cluster_contrast" else k1 + 1
    encoding = np.zeros_like(squared)
    for image in range(len(squared)):
        own = reciprocal(image, num_neighbors)
        expanded = set(own)
        for candidate in own:
            half = reciprocal(candidate, min(round(k1 / 2) + 1, num_neighbors))
            if len(half & own) > 2 / 3 * len(half):
                expanded |= half
        members = sorted(expanded)
        encoding[image, members] = weights[image, members] / weights[image, members].sum()
    return encoding


def oracle_expansion(encoding, squared, k2):
    if k2 == 1:
        return encoding
    order = np.argsort(squared, axis=1, kind="stable")
    return np.array([encoding[order[image, :k2]].mean(axis=0) for image in range(len(encoding))])


@st.composite
def images(draw):
    """Features on a coarse grid, so that duplicates and ties are many; their squares and sums are exact."""
    num_images, columns = draw(st.integers(1, 24)), draw(st.integers(1, 3))
    numbers = st.integers(-2, 2) if draw(st.booleans()) else st.just(1)
    rows = draw(
        st.lists(st.lists(numbers, min_size=columns, max_size=columns), min_size=num_images, max_size=num_images)
    )
    return np.array(rows, dtype=np.float32) / 2


@settings(max_examples=150, deadline=None)
@given(images(), st.integers(1, 26), st.integers(1, 26), st.sampled_from(sorted(CONVENTIONS)))
def test_the_encoding_is_what_the_equations_say(features, k1, k2, convention):
    squared = squared_distances(features)
    needed = CONVENTIONS[convention].num_neighbors(k1, len(features))
    neighbors = find_nearest(features, needed, metric="euclidean", farthest=True)
    space = Space(features, features, "euclidean")
    encoding = encode_reciprocal(neighbors, space, k1=k1, convention=convention)
    expected = oracle_encoding(squared, k1=k1, convention=convention)
    assert np.array_equal(encoding.to_dense(missing=0) > 0, expected > 0)
    assert np.allclose(encoding.to_dense(missing=0), expected, rtol=1e-6, atol=0)
    if k2 <= needed or needed == len(features):
        expanded = expand_encoding(encoding, neighbors.rows, k2=k2)
        assert all(np.all(np.diff(columns) > 0) for columns in np.split(expanded.columns, expanded.starts[1:-1]))
        expected = oracle_expansion(expected, squared, k2)
        assert np.allclose(expanded.to_dense(missing=0), expected, rtol=1e-6, atol=0)


def test_images_beyond_the_neighbours_are_measured():
    features = np.random.default_rng(1).standard_normal((200, 4)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    neighbors = find_nearest(features, 12, metric="cosine")
    encoding = encode_reciprocal(neighbors, Space(features, features, "cosine"), k1=12, convention="cluster_contrast")
    is_beyond = [
        column not in neighbors.rows[row]
        for row, column in zip(encoding.row_of_entries(), encoding.columns, strict=True)
    ]
    assert sum(is_beyond) > 50
    expected = oracle_encoding(squared_distances(features), k1=12, convention="cluster_contrast")
    assert np.allclose(encoding.to_dense(missing=0), expected, rtol=1e-5, atol=0)


def test_an_image_crowded_out_by_its_duplicates_keeps_itself():
    features = np.ones((9, 2), dtype=np.float32)
    neighbors = find_nearest(features, 3, metric="cosine")
    encoding = encode_reciprocal(neighbors, Space(features, features, "cosine"), k1=3, convention="cluster_contrast")
    dense = encoding.to_dense(missing=0)
    assert np.allclose(dense[:3, :3], 1 / 3)
    assert np.array_equal(dense[3:, 3:], np.eye(6))
    assert np.allclose(dense.sum(axis=1), 1)


def test_one_image_is_its_own_encoding():
    features = np.ones((1, 2), dtype=np.float32)
    neighbors = find_nearest(features, 1, metric="cosine", farthest=True)
    for convention in CONVENTIONS:
        encoding = encode_reciprocal(neighbors, Space(features, features, "cosine"), k1=5, convention=convention)
        assert expand_encoding(encoding, neighbors.rows, k2=3).to_dense(missing=0).tolist() == [[1.0]]


def test_more_neighbours_than_needed_change_nothing():
    features = np.random.default_rng(2).standard_normal((40, 3)).astype(np.float32)
    space = Space(features, features, "euclidean")
    few, many = (find_nearest(features, k, metric="euclidean", farthest=True) for k in (9, 30))
    few, many = (encode_reciprocal(neighbors, space, k1=8, convention="zhong") for neighbors in (few, many))
    assert np.array_equal(few.columns, many.columns)
    assert np.array_equal(few.values, many.values)


def test_cosine_distances_are_half_of_squared_ones_at_length_1():
    features = np.random.default_rng(3).standard_normal((60, 8)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    dense = [
        encode_reciprocal(
            find_nearest(features, 10, metric=metric), Space(features, features, metric), k1=10,
            convention="cluster_contrast",
        ).to_dense(missing=0)
        for metric in ("cosine", "euclidean")
    ]  # fmt: skip
    assert np.allclose(*dense, rtol=1e-5, atol=0)


def test_weights_of_far_images_never_vanish():
    features = np.array([[0.0], [1000.0]], dtype=np.float32)
    neighbors = find_nearest(features, 2, metric="euclidean")
    space = Space(features, features, "euclidean")
    encoding = encode_reciprocal(neighbors, space, k1=2, convention="cluster_contrast")
    assert encoding.values.min() > 0
    assert np.array_equal(encoding.to_dense(missing=0).round(6), np.eye(2))


NEAREST = Neighbors(np.zeros((5, 3), dtype=np.int32), np.zeros((5, 3)), "cosine")
FEATURES = np.ones((5, 2), dtype=np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"convention": "gnn"}, "one of cluster_contrast, zhong, deep_person_reid, got 'gnn'"),
        ({"k1": 0}, "k1: expected 1 or more"),
        ({"k1": 4}, "k1 = 4 by cluster_contrast needs 4 neighbours of each image, got 3"),
        ({"k1": 2, "convention": "zhong"}, "farthest=True"),
    ],
)
def test_what_cannot_be_encoded_is_an_error_that_says_why(change, message):
    case = {"k1": 3, "convention": "cluster_contrast"} | change
    with pytest.raises(ValueError, match=message):
        encode_reciprocal(NEAREST, Space(FEATURES, FEATURES, "cosine"), **case)


@pytest.mark.parametrize("k2", [0, 4])
def test_k2_beyond_the_neighbours_is_an_error(k2):
    encoding = encode_reciprocal(NEAREST, Space(FEATURES, FEATURES, "cosine"), k1=3, convention="cluster_contrast")
    with pytest.raises(ValueError, match="between 1 and 3"):
        expand_encoding(encoding, NEAREST.rows, k2=k2)
