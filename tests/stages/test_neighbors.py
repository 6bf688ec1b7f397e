import numpy as np
import pytest

from pipeline.neighbors.nearest import find_nearest
from pipeline.neighbors.space import METRICS
from tests.jobs.conftest import ray

__all__ = ["ray"]


@pytest.fixture
def files(tmp_path):
    numbers = np.random.default_rng(1)
    for name, rows in (("one", 30), ("other", 20)):
        np.save(tmp_path / f"{name}.npy", numbers.normal(size=(rows, 4)).astype(np.float32))
    return tmp_path / "one.npy", tmp_path / "other.npy"


@pytest.mark.parametrize("words", [("--metric", metric, "--rows-at-once", "7") for metric in METRICS])
def test_neighbors_and_distances_become_two_files(ray, fresh, files, tmp_path, capsys, words):
    fresh.run("neighbors", str(files[0]), "--k", "3", *words, "--out", str(tmp_path / "out"))
    expected = find_nearest(np.load(files[0]), 3, metric=words[1])
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "rows.npy"), expected.rows)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "distances.npy"), expected.distances)
    assert f"3 neighbours of 30 rows: {tmp_path / 'out'}" in capsys.readouterr().out


def test_neighbors_are_looked_for_in_a_gallery(ray, fresh, files, tmp_path):
    fresh.run("neighbors", str(files[0]), "--gallery", str(files[1]), "--k", "2", "--out", str(tmp_path / "out"))
    expected = find_nearest(np.load(files[0]), 2, gallery=np.load(files[1]), metric="cosine")
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "rows.npy"), expected.rows)


def test_more_neighbors_than_rows_are_exit_on_user_error(ray, fresh, files, tmp_path, refused):
    message = refused(fresh, "neighbors", str(files[0]), "--k", "31", "--out", str(tmp_path / "out"))
    assert message == "error: k: expected 1 to 30, the number of gallery rows, got 31"
    assert not (tmp_path / "out").exists()
