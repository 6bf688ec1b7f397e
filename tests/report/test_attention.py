import numpy as np
import pytest

from pipeline.report.artifacts import scored_images
from pipeline.report.attention import attend
from pipeline.report.panels import overlay
from pipeline.training.checkpoint import open_checkpoint
from tests.noise import MDPR, changed
from tests.report.conftest import write_training


@pytest.fixture
def store(made):
    (store,) = made.stores.values()
    return store


def test_maps_are_shares_of_each_cell_whatever_else_is_in_the_batch(made, store):
    images = scored_images(store)[:3]
    found = attend(open_checkpoint(made.trainings["mdpr"].folder), store, images)
    assert sorted(found.maps) == [3, 4]
    for maps in found.maps.values():
        assert maps.shape == (3, 2, *found.cells)
        assert maps.min() > 0
        assert maps.sum(axis=1).max() < 1
    alone = attend(open_checkpoint(made.trainings["mdpr"].folder), store, images[:1])
    np.testing.assert_allclose(alone.maps[4], found.maps[4][:1], atol=1e-6)


def test_a_network_without_attention_has_no_maps(store, tmp_path):
    write_training(tmp_path, store, "mdpr", changed(MDPR, settings__bap_heads=False, settings__diversity=False))
    assert attend(open_checkpoint(tmp_path / "mdpr"), store, scored_images(store)[:1]) is None


def test_attention_is_brighter_where_it_is_higher():
    image = np.full((32, 16, 3), 100, dtype=np.uint8)
    shown = overlay(image, np.array([[1.0, 0.0], [0.0, 0.0]]))
    assert shown.shape == image.shape
    assert shown.dtype == np.uint8
    assert shown[0, 0].mean() > 2 * shown[-1, -1].mean()
