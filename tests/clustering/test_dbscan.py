from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

from pipeline.clustering.dbscan import dbscan
from pipeline.neighbors.jaccard import jaccard_distance
from pipeline.neighbors.sparse import SparseRows

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "jaccard.npz")


def sparse(dense):
    dense = np.asarray(dense, dtype=np.float32)
    rows, columns = np.nonzero(dense < 1)
    starts = np.searchsorted(rows, np.arange(len(dense) + 1))
    return SparseRows(starts, columns.astype(np.int32), dense[rows, columns], dense.shape[1])


@st.composite
def matrices(draw):
    """Distances of which many are missing, many equal, and many exactly at eps in float32."""
    num_rows, eps = draw(st.integers(1, 40)), draw(st.sampled_from([0.1, 0.3, 0.5, 0.6, 0.7]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    at = np.float32(eps)
    values = np.array(
        [0, at / 2, np.nextafter(at, np.float32(0)), at, np.nextafter(at, np.float32(1)), 0.9], np.float32
    )
    dense = random.choice(values, (num_rows, num_rows))
    dense[random.random(dense.shape) < draw(st.sampled_from([0.3, 0.8, 0.95, 0.99]))] = 1
    if draw(st.booleans()):
        dense = np.minimum(dense, dense.T)
    np.fill_diagonal(dense, 0)
    return dense, eps


@settings(max_examples=200, deadline=None)
@given(matrices(), st.integers(1, 6))
def test_labels_are_those_of_scikit_learn(matrix, min_samples):
    dense, eps = matrix
    expected = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit_predict(dense)
    labels = dbscan(sparse(dense), eps=eps, min_samples=min_samples)
    assert labels.dtype == np.int64
    assert labels.tolist() == expected.tolist()


@pytest.mark.parametrize("eps", [0.4, 0.5, 0.6])
@pytest.mark.parametrize(("k1", "k2"), [(30, 6), (20, 6), (15, 1)])
def test_the_public_code_gives_the_same_labels(k1, k2, eps):
    distances = jaccard_distance(GOLDEN["features"], k1=k1, k2=k2, metric="cosine", convention="cluster_contrast")
    labels = dbscan(distances, eps=eps, min_samples=4)
    assert np.array_equal(labels, GOLDEN[f"expected_labels_k1_{k1}_k2_{k2}_eps_{eps}"])


def test_threads_change_nothing():
    distances = jaccard_distance(GOLDEN["features"], k1=20, k2=6, metric="cosine", convention="cluster_contrast")
    before, labels = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            labels.append(dbscan(distances, eps=0.5, min_samples=4).tolist())
    finally:
        torch.set_num_threads(before)
    assert labels[0] == labels[1]


def test_eps_is_compared_as_float32():
    stored = float(np.float32(0.6))
    assert stored > 0.6
    assert dbscan(sparse([[0, stored], [stored, 0]]), eps=0.6, min_samples=2).tolist() == [0, 0]


def test_a_row_counts_itself_whether_it_is_stored_or_not():
    apart = [[1, 0.2, 1], [0.2, 1, 1], [1, 1, 1]]
    stored = np.array(apart) * (1 - np.eye(3))
    for dense in (apart, stored):
        assert dbscan(sparse(dense), eps=0.5, min_samples=2).tolist() == [0, 0, -1]
        assert dbscan(sparse(dense), eps=0.5, min_samples=3).tolist() == [-1, -1, -1]
        assert dbscan(sparse(dense), eps=0.5, min_samples=1).tolist() == [0, 0, 1]


def test_a_border_row_between_two_clusters_joins_the_first():
    dense = np.ones((9, 9))
    dense[:4, :4] = dense[5:, 5:] = 0.1
    dense[4, [3, 5]] = dense[[3, 5], 4] = 0.1
    assert dbscan(sparse(dense), eps=0.5, min_samples=4).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]


def test_all_noise_and_one_cluster_are_possible():
    alone = np.ones((5, 5)) - np.eye(5)
    assert dbscan(sparse(alone), eps=0.9, min_samples=2).tolist() == [-1] * 5
    assert dbscan(sparse(np.zeros((5, 5))), eps=0.01, min_samples=5).tolist() == [0] * 5


@pytest.mark.parametrize("eps", [0, -0.1, 1, 0.99999999999, float("nan")])
def test_eps_that_missing_distances_could_meet_is_an_error(eps):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        dbscan(sparse(np.eye(3)), eps=eps, min_samples=2)


def test_min_samples_below_1_is_an_error():
    with pytest.raises(ValueError, match="expected 1 or more"):
        dbscan(sparse(np.eye(3)), eps=0.5, min_samples=0)


@pytest.mark.parametrize("value", [-0.25, np.nan])
def test_distances_that_are_none_name_their_rows(value):
    distances = sparse(np.zeros((12, 12)))
    distances.values[[3 * 12, 11 * 12 + 5]] = value
    with pytest.raises(ValueError, match=r"2 rows, the first are \[3, 11\]"):
        dbscan(distances, eps=0.5, min_samples=2)


def test_distances_between_two_sets_or_in_float64_are_an_error():
    with pytest.raises(ValueError, match=r"float32 \[2, 3\]"):
        dbscan(sparse(np.zeros((2, 3))), eps=0.5, min_samples=2)
    rows = sparse(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="got float64"):
        dbscan(SparseRows(rows.starts, rows.columns, rows.values.astype(np.float64), 2), eps=0.5, min_samples=2)
