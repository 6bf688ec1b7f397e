import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.jobs.blocks import Piece
from pipeline.jobs.neighbors import find_nearest_over_ray, merge, search_piece
from pipeline.neighbors.nearest import find_nearest
from pipeline.neighbors.space import METRICS

ROWS = 150


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files of embeddings of few numbers from few values: most rows have duplicates, and many are equally far."""
    numbers, folder = np.random.default_rng(5), tmp_path_factory.mktemp("embeddings")
    for name, rows in (("one", ROWS), ("other", 90)):
        values = numbers.integers(-1, 3, (rows, 4)).astype(np.float32)
        values[(values == 0).all(axis=1)] = 1
        np.save(folder / f"{name}.npy", values)
    return folder / "one.npy", folder / "other.npy"


def assert_same(found, expected):
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.compared, expected.compared)
    np.testing.assert_array_equal(found.distances, expected.distances)
    assert (found.rows.dtype, found.distances.dtype) == (expected.rows.dtype, expected.distances.dtype)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("k", "rows_at_once"), [(1, 40), (20, 40), (ROWS, 66), (7, ROWS)])
def test_tasks_find_the_neighbors_of_one_process_in_every_bit_and_tie(ray, files, metric, k, rows_at_once):
    steps = []
    found = find_nearest_over_ray(
        files[0], k, metric=metric, rows_at_once=rows_at_once, progress=lambda *step: steps.append(step)
    )
    assert_same(found, find_nearest(np.load(files[0]), k, metric=metric))
    assert steps == [(done, len(steps)) for done in range(1, len(steps) + 1)]
    assert len(steps) == {40: 31, 66: 7, ROWS: 1}[rows_at_once]


@pytest.mark.parametrize("metric", METRICS)
def test_tasks_find_the_neighbors_in_a_gallery(ray, files, metric):
    found = find_nearest_over_ray(files[0], 30, gallery=files[1], metric=metric, rows_at_once=50)
    assert_same(found, find_nearest(np.load(files[0]), 30, gallery=np.load(files[1]), metric=metric))


def test_a_mistake_in_a_task_reaches_the_caller_as_itself_and_names_file_and_rows(ray, tmp_path):
    values = np.ones((20, 3), dtype=np.float32)
    values[13] = np.nan
    np.save(tmp_path / "broken.npy", values)
    with pytest.raises(ValueError, match=r"^/.*broken\.npy, rows .*features: 1 rows hold NaN or infinity.*"):
        find_nearest_over_ray(tmp_path / "broken.npy", 2, metric="cosine", rows_at_once=14)


def test_k_and_shape_are_checked_before_a_task_starts(files, tmp_path):
    with pytest.raises(ValueError, match=f"k: expected 1 to {ROWS}, the number of gallery rows, got {ROWS + 1}"):
        find_nearest_over_ray(files[0], ROWS + 1, metric="cosine")
    np.save(tmp_path / "flat.npy", np.zeros(4, dtype=np.float32))
    with pytest.raises(ValueError, match=r"flat\.npy: expected embeddings \[rows, columns\], got \[4\]"):
        find_nearest_over_ray(tmp_path / "flat.npy", 1, metric="cosine")


def test_a_file_of_python_objects_is_not_opened(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([["an", "object"]], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"[Pp]ython objects"):
        find_nearest_over_ray(tmp_path / "objects.npy", 1, metric="cosine")


def test_a_piece_smaller_than_k_gives_what_it_has(files):
    found = search_piece((files[0], None), 20, "cosine", Piece((slice(10, 12), slice(30, 33))), "cpu")
    assert found.rows.shape == (5, 5)
    assert set(found.rows[0]) == {10, 11, 30, 31, 32}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 11), unique=True, max_size=8), min_size=1, max_size=5), st.integers(1, 12))
def test_merging_lists_in_any_order_keeps_the_k_nearest_once(lists, k):
    distance_of = np.array([3, 1, 1, 2, 0, 3, 3, 1, 0, 2, 5, 4], dtype=float)
    rows, distances = np.full((1, k), -1, dtype=np.int32), np.full((1, k), np.inf)
    for one in lists:
        near = sorted(one, key=lambda row: (distance_of[row], row))[:k]
        new = np.array([near], dtype=np.int32)
        rows, distances = merge(np.hstack([rows, new]), np.hstack([distances, distance_of[new]]), k)
    everyone = sorted({row for one in lists for row in one}, key=lambda row: (distance_of[row], row))[:k]
    assert rows[0].tolist() == everyone + [-1] * (k - len(everyone))
    assert distances[0].tolist() == [distance_of[row] for row in everyone] + [np.inf] * (k - len(everyone))
