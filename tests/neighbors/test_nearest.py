import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from pipeline.neighbors.candidates import Candidates, CandidatesByTorch
from pipeline.neighbors.nearest import Neighbors, _search, find_nearest
from pipeline.neighbors.space import METRICS, Space

BLOCK_SIZES = (1, 3, 7, 64)


def oracle(features: np.ndarray, gallery: np.ndarray, k: int, metric: str) -> Neighbors:
    """Every pair, and a full sort of every row by distance and column."""
    space = Space(features, gallery, metric)
    rows, columns = np.indices((len(features), len(gallery))).reshape(2, -1)
    distances = space.exact(rows, columns).reshape(len(features), -1)
    order = np.array([sorted(range(len(gallery)), key=lambda column: (row[column], column)) for row in distances])[
        :, :k
    ]
    return Neighbors(order, np.take_along_axis(distances, order, 1), metric, distances.max(axis=1))


def assert_same(found: Neighbors, expected: Neighbors) -> None:
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.compared, expected.compared)
    np.testing.assert_array_equal(found.farthest_compared, expected.farthest_compared)


@st.composite
def cases(draw):
    """Few rows, few values, few columns, any scale: ties, duplicates and single rows are common."""
    num_rows, num_gallery, columns = draw(st.integers(1, 12)), draw(st.integers(1, 12)), draw(st.integers(1, 5))
    numbers = np.random.default_rng(draw(st.integers(0, 2**31)))
    scale = np.float32(2.0 ** draw(st.sampled_from([-140, -60, -3, 0, 2, 50, 59])))

    def side(rows):
        values = numbers.integers(-1, 3, (rows, columns)).astype(np.float32)
        values[(values == 0).all(axis=1)] = 1
        return values * scale

    gallery = side(num_gallery)
    is_one_set = draw(st.booleans())
    return {
        "features": gallery if is_one_set else side(num_rows),
        "gallery": None if is_one_set else gallery,
        "k": draw(st.integers(1, num_gallery)),
        "metric": draw(st.sampled_from(METRICS)),
    }


@settings(max_examples=80, deadline=None)
@given(cases(), st.sampled_from(BLOCK_SIZES), st.sampled_from([Candidates, CandidatesByTorch]))
def test_neighbors_are_those_of_a_full_sort(case, block_size, collection):
    features, k, metric = case["features"], case["k"], case["metric"]
    gallery = features if case["gallery"] is None else case["gallery"]
    expected = oracle(features, gallery, k, metric)
    assert_same(find_nearest(**case, farthest=True, block_size=block_size), expected)
    assert_same(_search(Space(features, gallery, metric), k, True, block_size, None, collection), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_those_that_scipy_calls_so(metric):
    features, gallery = crowd(9, rows=50), crowd(10, rows=70)
    found = find_nearest(features, 70, gallery=gallery, metric=metric, farthest=True)
    expected = np.sort(cdist(features.astype(np.float64), gallery.astype(np.float64), metric))
    np.testing.assert_allclose(found.distances, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(found.farthest, found.distances[:, -1])


def crowd(seed: int, rows: int = 400, columns: int = 20, copies: int = 1) -> np.ndarray:
    """Rows around a few centres, more than a row has places for candidates; ``copies`` of the first few."""
    numbers = np.random.default_rng(seed)
    features = numbers.normal(size=(12, columns))[numbers.integers(0, 12, rows)] + 0.3 * numbers.normal(
        size=(rows, columns)
    )
    features[numbers.permutation(rows)[: copies * 3]] = np.repeat(features[:3], copies, axis=0)
    return features.astype(np.float32)


@pytest.mark.parametrize("collection", [Candidates, CandidatesByTorch])
@pytest.mark.parametrize("copies", [1, 40, 120])
@pytest.mark.parametrize("metric", METRICS)
def test_neighbors_of_a_crowd_are_those_of_a_full_sort(metric, copies, collection):
    """Where candidates are dropped, and with more copies than there is room for, where rows are given up."""
    features = crowd(0, copies=copies)
    found = _search(Space(features, features, metric), 5, True, 64, None, collection)
    assert_same(found, oracle(features, features, 5, metric))


@pytest.mark.parametrize("metric", METRICS)
def test_block_size_symmetry_and_threads_change_nothing(metric):
    features = crowd(1, rows=90, copies=12)
    expected = find_nearest(features, 9, metric=metric, farthest=True)
    before = torch.get_num_threads()
    try:
        for threads, block_size in ((1, 3), (1, 7), (1, 64), (3, 13), (3, 64)):
            torch.set_num_threads(threads)
            for gallery in (None, torch.from_numpy(features)):
                found = find_nearest(features, 9, gallery=gallery, metric=metric, farthest=True, block_size=block_size)
                assert_same(found, expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.gpu
@pytest.mark.parametrize("metric", METRICS)
def test_device_changes_nothing(metric):
    features = crowd(10, rows=3000, columns=300, copies=100)
    expected = find_nearest(features, 9, metric=metric, farthest=True)
    for block_size in (512, 4096):
        found = find_nearest(features, 9, metric=metric, farthest=True, block_size=block_size, device="cuda")
        assert_same(found, expected)


def test_crowded_rows_are_given_up_and_no_others():
    """That is, rows with one of 201 equal rows as their last neighbour."""
    features = crowd(2, copies=0)
    features[200:] = features[0]
    space = Space(features, features, "cosine")
    last = find_nearest(features, 5, metric="cosine").rows[:, -1]
    for collection in (Candidates, CandidatesByTorch):
        candidates = collection(space, 5, sign=1)
        candidates.add(space.rough(slice(0, 400), slice(0, 400)), slice(0, 400), slice(0, 400))
        unclear = candidates.of(slice(0, 400))[2]
        np.testing.assert_array_equal(unclear, np.flatnonzero((last == 0) | (last >= 200)))
        assert set(range(200, 400)) <= set(unclear.tolist())
        assert len(unclear) < 250


def test_candidates_are_few():
    features = crowd(3, rows=600)
    space = Space(features, features, "cosine")
    for collection in (Candidates, CandidatesByTorch):
        candidates = collection(space, 10, sign=1)
        candidates.add(space.rough(slice(0, 600), slice(0, 600)), slice(0, 600), slice(0, 600))
        assert 6000 <= len(candidates.of(slice(0, 600))[0]) <= 6010


def test_all_equal_rows_are_each_others_neighbors_in_order():
    features = np.ones((500, 3), dtype=np.float32)
    found = find_nearest(features, 4, metric="cosine", farthest=True, block_size=100)
    np.testing.assert_array_equal(found.rows, np.tile(np.arange(4), (500, 1)))
    assert (found.distances == 0).all()
    assert (found.farthest == 0).all()


def test_dtypes_are_as_documented():
    found = find_nearest(crowd(4, rows=10), 3, metric="cosine")
    assert (found.rows.dtype, found.distances.dtype, found.farthest) == (np.int32, np.float64, None)


def test_progress_counts_tiles():
    calls = []
    find_nearest(crowd(5, rows=25), 3, metric="cosine", block_size=10, progress=lambda *call: calls.append(call))
    assert calls == [(done, 6) for done in range(1, 7)]  # three rows of tiles, each from its diagonal on
    calls.clear()
    features = crowd(5, rows=25)
    find_nearest(
        features, 3, gallery=features.copy(), metric="cosine", block_size=10, progress=lambda *c: calls.append(c)
    )
    assert calls[-1] == (9, 9)


@pytest.mark.parametrize("k", [0, -1, 11])
def test_k_beyond_the_gallery_is_refused(k):
    with pytest.raises(ValueError, match=f"k: expected 1 to 10, the number of gallery rows, got {k}"):
        find_nearest(crowd(6, rows=30), k, gallery=crowd(7, rows=10), metric="cosine")


def test_empty_tiles_are_refused():
    with pytest.raises(ValueError, match="block_size: expected at least 1 row, got 0"):
        find_nearest(crowd(8, rows=10), 1, metric="cosine", block_size=0)


def test_rows_that_hold_nan_are_named():
    features = crowd(9, rows=10)
    features[[2, 7], 3] = np.nan
    with pytest.raises(ValueError, match=r"features: 2 rows hold NaN or infinity.*\[2, 7\]"):
        find_nearest(features, 1, metric="cosine")
