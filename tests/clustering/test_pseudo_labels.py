import numpy as np
import pytest
import torch

from pipeline.clustering.pseudo_labels import find_clusters
from pipeline.clustering.quality import measure_quality

SETTINGS = {"center_cameras": False, "local_weight": 0.15, "k1": 8, "k2": 3, "eps": 0.5, "min_samples": 4}
IDENTITIES, CAMERAS = np.repeat(np.arange(8), 12), np.tile(np.arange(3), 32)


def views(noise=0.25, camera=0.0, seed=0):
    """Three views of 96 images: an identity's own direction, one of its camera, and noise."""
    generator = np.random.default_rng(seed)
    own, cameras = generator.normal(size=(3, 8, 32)), generator.normal(size=(3, 3, 32))
    made = own[:, IDENTITIES] + camera * cameras[:, CAMERAS] + noise * generator.normal(size=(3, 96, 32))
    return (made / np.linalg.norm(made, axis=2, keepdims=True)).astype(np.float32)


def test_clear_groups_are_found():
    labels = find_clusters(views(), CAMERAS, **SETTINGS)
    assert labels.dtype == np.int64
    assert measure_quality(labels, identities=IDENTITIES)["ari"] == pytest.approx(1)


def test_the_local_views_have_a_say_by_their_weight():
    unsure = views(noise=1.1)
    labels = [find_clusters(unsure, CAMERAS, **SETTINGS | {"local_weight": weight}) for weight in (0.0, 0.15, 0.3)]
    assert not any(np.array_equal(one, other) for one, other in [labels[:2], labels[1:], labels[::2]])
    assert np.array_equal(labels[0], find_clusters(unsure[:1], CAMERAS, **SETTINGS | {"local_weight": 0.0}))


@pytest.mark.parametrize("change", [{"k1": 5}, {"k2": 1}, {"eps": 0.4}, {"min_samples": 7}, {"center_cameras": True}])
def test_every_number_changes_the_clusters(change):
    unsure = views(noise=1.1, camera=0.5)
    before, after = (find_clusters(unsure, CAMERAS, **SETTINGS | settings) for settings in ({}, change))
    assert not np.array_equal(before, after)


def test_threads_do_not_change_the_clusters():
    threads = torch.get_num_threads()
    try:
        labels = []
        for count in (1, 3):
            torch.set_num_threads(count)
            labels.append(find_clusters(views(noise=0.9), CAMERAS, **SETTINGS))
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(*labels)


def test_what_a_camera_does_to_all_its_images_is_gone_after_centring():
    """Here clusters follow cameras, and each camera sees the same identities."""
    stained = views(camera=4.0)
    plain, cleared = (find_clusters(stained, CAMERAS, **SETTINGS | {"center_cameras": on}) for on in (False, True))
    assert measure_quality(plain, identities=IDENTITIES)["ari"] < 0.5
    assert measure_quality(cleared, identities=IDENTITIES)["ari"] > 0.9


def test_the_only_image_of_a_camera_is_clustered_with_the_rest():
    cameras = CAMERAS.copy()
    cameras[5] = 9
    labels = find_clusters(views(camera=4.0), cameras, **SETTINGS | {"center_cameras": True})
    others = np.arange(96) != 5
    assert measure_quality(labels[others], identities=IDENTITIES[others])["ari"] > 0.9
