from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.neighbors.jaccard import jaccard_distance, jaccard_rows, weighted_mean
from pipeline.neighbors.sparse import SparseRows

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "jaccard.npz")
USUAL = {"metric": "cosine", "convention": "cluster_contrast"}


def sparse(dense, missing):
    dense = np.asarray(dense, dtype=np.float32)
    rows, columns = np.nonzero(dense != missing)
    starts = np.searchsorted(rows, np.arange(len(dense) + 1))
    return SparseRows(starts, columns.astype(np.int32), dense[rows, columns], dense.shape[1])


def random_encoding(seed, num_rows=50, num_images=70):
    random = np.random.default_rng(seed)
    weights = random.random((num_rows, num_images)) * (random.random((num_rows, num_images)) < 0.1)
    weights[:, 0] += 0.01
    return sparse(weights / weights.sum(axis=1, keepdims=True), missing=0)


def oracle_distances(encoding, others):
    shared = np.minimum(encoding.to_dense(0)[:, None].astype(np.float64), others.to_dense(0)).sum(axis=2)
    return np.maximum(1 - shared / (2 - shared), 0)


def same(one, other):
    return all(np.array_equal(vars(one)[name], vars(other)[name]) for name in vars(one))


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("k1", "k2"), [(30, 6), (20, 6), (15, 1)])
def test_the_public_code_gives_the_same_distances(k1, k2):
    distances = jaccard_distance(GOLDEN["features"], k1=k1, k2=k2, **USUAL).to_dense(missing=1.0)
    assert np.abs(distances - GOLDEN[f"expected_jaccard_k1_{k1}_k2_{k2}"]).max() < 2e-6


def test_distances_are_symmetric_in_every_bit():
    distances = jaccard_distance(GOLDEN["features"], k1=15, k2=4, **USUAL).to_dense(missing=1.0)
    assert np.array_equal(distances, distances.T)
    assert np.diag(distances).max() < 1e-6


@pytest.mark.parametrize("block_size", [300, 511])
def test_block_size_and_threads_change_nothing(block_size, two_threads):
    features = np.random.default_rng(5).standard_normal((1100, 6)).astype(np.float32)
    many = jaccard_distance(features, k1=15, k2=4, block_size=block_size, **USUAL)
    torch.set_num_threads(1)
    assert same(many, jaccard_distance(features, k1=15, k2=4, **USUAL))


@pytest.mark.parametrize("seed", range(5))
def test_distances_are_what_the_equation_says(seed):
    encoding, others = random_encoding(seed), random_encoding(seed + 100, num_rows=31)
    for distances, expected in (
        (jaccard_rows(encoding), oracle_distances(encoding, encoding)),
        (jaccard_rows(encoding, others), oracle_distances(encoding, others)),
    ):
        assert np.allclose(distances.to_dense(missing=1.0), expected, rtol=0, atol=1e-7)


def test_only_distances_below_1_are_stored_and_columns_rise():
    # The first two rows share 1e-9, which float32 holds to be a distance of 1.
    encoding = sparse([[1, 0, 0, 0], [1e-9, 1, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]], missing=0)
    distances = jaccard_rows(encoding)
    assert [part.tolist() for part in np.split(distances.columns, distances.starts[1:-1])] == [[0], [1, 2], [1, 2], [3]]
    assert distances.values.max() < 1


def test_a_part_of_the_rows_has_the_distances_of_the_whole():
    encoding = random_encoding(3)
    part = jaccard_rows(encoding.rows(5, 20), encoding.rows(20, 50)).to_dense(missing=1.0)
    assert np.array_equal(part, jaccard_rows(encoding).to_dense(missing=1.0)[5:20, 20:])


def test_all_identical_images_are_at_no_distance_from_each_other():
    distances = jaccard_distance(np.ones((12, 3), dtype=np.float32), k1=20, k2=6, **USUAL)
    assert distances.to_dense(missing=1.0).max() < 1e-6


def test_one_image_is_at_no_distance_from_itself():
    distances = jaccard_distance(np.ones((1, 3), dtype=np.float32), k1=20, k2=6, **USUAL)
    assert distances.to_dense(missing=1.0).tolist() == [[0.0]]


def test_clusters_far_apart_share_nothing():
    centres = np.repeat(np.eye(4, dtype=np.float32), 6, axis=0)
    noise = np.random.default_rng(4).standard_normal(centres.shape).astype(np.float32) / 100
    for convention in ("cluster_contrast", "zhong"):
        distances = jaccard_distance(centres + noise, k1=5, k2=2, metric="cosine", convention=convention)
        is_same = np.kron(np.eye(4), np.ones((6, 6))) > 0
        assert (distances.to_dense(missing=1.0)[~is_same] == 1).all()
        assert (distances.to_dense(missing=1.0)[is_same] < 1).all()


def test_progress_tells_of_the_neighbour_search():
    told = []
    jaccard_distance(GOLDEN["features"], k1=5, k2=1, block_size=200, progress=lambda *done: told.append(done), **USUAL)
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k1": 0}, "k1: expected 1 or more"),
        ({"k2": 0}, "k2: expected from 1"),
        ({"k2": 21}, "k2: expected from 1 to .* k1 = 20, got 21"),
        ({"convention": "none"}, "expected one of cluster_contrast"),
        ({"metric": "manhattan"}, "metric: expected one of cosine, euclidean, got 'manhattan'"),
    ],
)
def test_parameters_out_of_range_are_an_error(change, message):
    with pytest.raises(ValueError, match=message):
        jaccard_distance(GOLDEN["features"], **{"k1": 20, "k2": 6} | USUAL | change)


def test_encodings_that_cannot_be_compared_are_an_error():
    with pytest.raises(ValueError, match="by 70 and by 60 images"):
        jaccard_rows(random_encoding(1), random_encoding(1, num_images=60))
    with pytest.raises(ValueError, match="weights above 0"):
        jaccard_rows(sparse([[0, 1], [0.5, 0.5]], missing=-1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 15))
def test_merged_distances_are_the_weighted_sum_with_1_for_what_is_missing(seed, num_views, num_rows):
    random = np.random.default_rng(seed)
    dense = random.integers(0, 5, (num_views, num_rows, num_rows)).astype(np.float32) / 4
    weights = random.dirichlet(np.ones(num_views))
    merged = weighted_mean([sparse(view, missing=1) for view in dense], weights)
    expected = sum(weight * view.astype(np.float64) for weight, view in zip(weights, dense, strict=True))
    assert np.allclose(merged.to_dense(missing=1.0), expected, rtol=0, atol=1e-7)
    assert (merged.values < 1).all()
    assert all(np.all(np.diff(columns) > 0) for columns in np.split(merged.columns, merged.starts[1:-1]))


def test_merging_one_view_leaves_it_as_it_is():
    distances = jaccard_distance(GOLDEN["features"], k1=10, k2=1, **USUAL)
    assert same(weighted_mean([distances], [1.0]), distances)


def test_merging_keeps_symmetry_in_every_bit():
    views = [jaccard_distance(GOLDEN["features"][:, part::3].copy(), k1=20, k2=6, **USUAL) for part in range(3)]
    merged = weighted_mean(views, [0.7, 0.15, 0.15]).to_dense(missing=1.0)
    assert np.array_equal(merged, merged.T)


@pytest.mark.parametrize("weights", [[0.5], [0.5, 0.6], [1.5, -0.5], [0.5, float("nan")], []])
def test_weights_that_are_no_weights_are_an_error(weights):
    view = sparse(np.eye(3), missing=1)
    with pytest.raises(ValueError, match="expected 2 weights"):
        weighted_mean([view, view], weights)


def test_views_of_different_images_are_an_error():
    with pytest.raises(ValueError, match=r"\(3, 3\), \(4, 4\)"):
        weighted_mean([sparse(np.eye(3), missing=1), sparse(np.eye(4), missing=1)], [0.5, 0.5])
    with pytest.raises(ValueError, match="the same rows"):
        weighted_mean([], [])
