import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.neighbors import space as space_module
from pipeline.neighbors.space import METRICS, Space


def embeddings(seed: int, rows: int, columns: int, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(rows, columns)) * scale).astype(np.float32)


def all_pairs(space: Space) -> np.ndarray:
    rows, columns = np.indices((len(space.query), len(space.gallery))).reshape(2, -1)
    return space.exact(rows, columns).reshape(len(space.query), -1)


def all_rough(space: Space) -> np.ndarray:
    return space.rough(slice(0, len(space.query)), slice(0, len(space.gallery))).numpy()


def true_distance(query: np.ndarray, gallery: np.ndarray, metric: str) -> float:
    """The sums are rounded once: products of float32 are exact in float64, and so are sums by fsum."""
    q, g = query.astype(np.float64), gallery.astype(np.float64)
    if metric == "cosine":
        return 1 - math.fsum(q * g) / math.sqrt(math.fsum(q * q) * math.fsum(g * g))
    return math.fsum((q - g) ** 2)


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 64, 100, 2048])
@pytest.mark.parametrize("metric", METRICS)
def test_exact_distances_are_true_to_rounding(metric, columns):
    query, gallery = embeddings(0, 5, columns), embeddings(1, 7, columns)
    expected = [[true_distance(q, g, metric) for g in gallery] for q in query]
    np.testing.assert_allclose(all_pairs(Space(query, gallery, metric)), expected, rtol=2e-15, atol=1e-15)


@pytest.mark.parametrize("metric", METRICS)
def test_duplicates_are_at_zero_and_distances_are_symmetric(metric):
    features = embeddings(7, 20, 37)
    features[10:] = features[:10]
    distances = all_pairs(Space(features, features, metric))
    assert (np.diag(distances) == 0).all()
    assert (distances[np.arange(10), np.arange(10, 20)] == 0).all()
    np.testing.assert_array_equal(distances, distances.T)


def test_opposite_rows_are_at_cosine_distance_two():
    features = embeddings(8, 10, 37)
    assert (Space(features, -4 * features, "cosine").exact(np.arange(10), np.arange(10)) == 2).all()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    columns=st.sampled_from([1, 3, 64, 300]),
    columns_at_once=st.sampled_from([1, 7, 100, 4096]),
    powers=st.tuples(st.integers(-130, 60), st.integers(-130, 60)),
    metric=st.sampled_from(METRICS),
    is_near=st.booleans(),
)
def test_rough_distances_are_within_the_margin(seed, columns, columns_at_once, powers, metric, is_near):
    """Of any length, and where everything cancels out: rows that hardly differ, of large entries of either sign."""
    query, gallery = embeddings(seed, 6, columns), embeddings(seed + 1, 8, columns)
    if is_near:
        gallery = query[[0, 1, 2, 3, 4, 5, 0, 1]] * (1 + gallery * np.float32(1e-6))
    scales = [np.float32(2.0**power) / np.float32(columns) for power in powers]
    space = Space(query * scales[0], gallery * scales[1], metric, columns_at_once=columns_at_once)
    assert (np.abs(all_rough(space) - all_pairs(space)) < space.margin[:, None]).all()


@pytest.mark.parametrize("metric", METRICS)
def test_margin_holds_where_every_rounding_goes_the_same_way(metric):
    """Equal products whose sums are cut at every step: far worse than random numbers, and near the bound's growth."""
    for entry in (1 + 2**-12, 1 - 2**-13, 1.3):
        rows = np.full((3, 5000), entry, dtype=np.float32)
        rows[1, ::2] *= -1
        space = Space(rows, rows.copy(), metric, columns_at_once=64)
        assert (np.abs(all_rough(space) - all_pairs(space)) < space.margin[:, None]).all()


def test_fewer_columns_at_once_give_a_tighter_margin():
    features = embeddings(9, 3, 2048)
    tight, loose = (Space(features, features, "cosine", columns_at_once=count).margin for count in (256, 4096))
    assert (tight < 2e-5).all()
    assert (loose > 1e-4).all()


@pytest.mark.parametrize("columns", [96, 257, 1024])
def test_products_are_finished_before_they_are_added(columns):
    """What the margin of several products rests on: ones, added to 2^24 one by one, would all be rounded away."""
    total = torch.full((33, 70), 2.0**24)
    total.addmm_(torch.ones(33, columns), torch.ones(70, columns).T)
    assert (total == 2.0**24 + columns + columns % 2 * (1 if columns // 2 % 2 else -1)).all()


def test_precision_of_products_is_not_left_to_the_process():
    backends = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul
    before = [backend.fp32_precision for backend in backends]
    features = embeddings(10, 64, 512)
    space = Space(features, features, "cosine")
    expected = all_rough(space)
    try:
        backends[0].fp32_precision, backends[1].fp32_precision = "tf32", "bf16"
        with torch.autocast("cpu", dtype=torch.bfloat16):
            np.testing.assert_array_equal(all_rough(space), expected)
            with space_module._plain_float32(torch.device("cpu")):
                assert [backend.fp32_precision for backend in backends] == ["ieee", "ieee"]
        assert [backend.fp32_precision for backend in backends] == ["tf32", "bf16"]
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


@pytest.mark.parametrize(("rows", "columns"), [([0, 3], [0, 0]), ([0, 1], [0, 5]), ([-1, 0], [0, 0])])
def test_pairs_of_rows_that_are_not_there_are_refused(rows, columns):
    space = Space(embeddings(18, 3, 2), embeddings(19, 5, 2), "cosine")
    with pytest.raises(ValueError, match=r"expected 0 to [24], got"):
        space.exact(np.array(rows), np.array(columns))


def test_tile_is_written_to_the_buffer():
    space = Space(embeddings(11, 6, 5), embeddings(12, 9, 5), "cosine")
    buffer = torch.empty(100)
    tile = space.rough(slice(2, 6), slice(4, 9), buffer)
    assert tile.data_ptr() == buffer.data_ptr()
    np.testing.assert_allclose(tile, all_pairs(space)[2:6, 4:9], atol=1e-6)


def test_one_set_is_held_once_and_not_copied():
    features = embeddings(13, 4, 8)
    space = Space(features, features, "cosine")
    assert space.is_one_set
    assert space.gallery is space.query
    assert space.query.data_ptr() == features.ctypes.data


def test_cosine_ignores_lengths_that_float32_products_do_not_hold():
    features = embeddings(14, 9, 16)
    lengths = np.float32(2.0) ** np.array([-120, -70, -41, -1, 0, 3, 45, 90, 120], dtype=np.float32)
    stretched = features * lengths[:, None]
    space = Space(stretched, features, "cosine")
    np.testing.assert_array_equal(all_pairs(space), all_pairs(Space(features, features.copy(), "cosine")))
    np.testing.assert_allclose(all_rough(space), all_pairs(space), atol=1e-6)
    np.testing.assert_array_equal(stretched, features * lengths[:, None])


@pytest.mark.parametrize(
    ("spoil", "metric", "message"),
    [
        (np.nan, "cosine", "gallery: 2 rows hold NaN or infinity.*\\[3, 5\\]"),
        (np.inf, "euclidean", "gallery: 2 rows hold NaN or infinity.*\\[3, 5\\]"),
        (0, "cosine", "gallery: 2 rows are all zeros.*\\[3, 5\\]"),
        (1e19, "euclidean", "gallery: 2 rows are longer than 4.6e.18.*\\[3, 5\\]"),
    ],
)
def test_rows_without_a_distance_are_named(spoil, metric, message):
    gallery = embeddings(15, 8, 4)
    gallery[[3, 5]] = spoil
    with pytest.raises(ValueError, match=message):
        Space(embeddings(16, 2, 4), gallery, metric)


def test_zero_rows_have_euclidean_distances():
    features = np.zeros((3, 4), dtype=np.float32)
    assert (all_pairs(Space(features, features, "euclidean")) == 0).all()


@pytest.mark.parametrize(
    ("query", "gallery", "message"),
    [
        (np.ones((2, 3)), np.ones(3), "gallery: expected numbers.*float32 \\[3\\]"),
        (np.ones((2, 3), np.float32), np.ones((0, 3), np.float32), "gallery: .*at least one.*\\[0, 3\\]"),
        (np.ones((2, 3), np.float32), np.ones((2, 4), np.float32), "gallery: expected 3 columns, as query has, got 4"),
    ],
)
def test_sides_that_do_not_fit_are_refused(query, gallery, message):
    with pytest.raises(ValueError, match=message):
        Space(query, gallery, "cosine")


def test_unknown_metric_is_refused():
    features = embeddings(17, 2, 2)
    with pytest.raises(ValueError, match="expected one of cosine, euclidean, got 'manhattan'"):
        Space(features, features, "manhattan")
