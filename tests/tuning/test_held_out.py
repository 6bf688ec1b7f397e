import numpy as np
import pytest

from pipeline.images.store import ImageStore
from pipeline.images.table import NO_CAMERA
from pipeline.training.experiment import training_labels
from pipeline.tuning.held_out import HeldOut, choose_identities, held_out, silhouette, write_validation_store
from tests.noise import MSKD, TEST, TRAIN

CLUSTERING = MSKD["settings"]["clustering"]


@pytest.fixture(scope="module")
def stores(noise, tmp_path_factory):
    """The whole store of noise, and a validation store of it with two of its six identities held out."""
    folder = tmp_path_factory.mktemp("held out") / "data"
    whole = ImageStore(noise)
    write_validation_store(whole, folder, share=0.34, seed=1)
    return whole, ImageStore(folder)


def test_no_image_of_the_test_set_is_in_a_validation_store(stores):
    whole, part = stores
    test = whole.table[whole.table["split"] == "test"]
    assert not set(part.table["sha256"]) & set(test["sha256"])
    assert not set(part.table["person_id"]) & set(TEST)
    assert set(part.table["sha256"]) == set(whole.table.loc[whole.table["role"] == "train", "sha256"])


def test_who_is_held_out_is_not_trained_on(stores):
    _, part = stores
    table = part.table
    held = set(table.loc[table["role"] == "gallery", "person_id"])
    trained = set(table.loc[table["role"] == "train", "person_id"])
    assert len(held) == 2
    assert held | trained == set(TRAIN)
    assert not held & trained
    assert (training_labels(part)[table["role"] == "gallery"] == -1).all()
    assert set(held_out(part, batch_size=4, clustering=None).persons) == held


def test_each_image_keeps_its_pixels_person_and_camera(stores):
    whole, part = stores
    place = {sha: row for row, sha in enumerate(whole.table["sha256"])}
    rows = [place[sha] for sha in part.table["sha256"]]
    assert np.array_equal(part.images, whole.images[rows])
    for column in ("person_id", "camera_id", "modality", "path"):
        assert part.table[column].tolist() == whole.table[column].iloc[rows].tolist()


def test_the_seed_says_who_is_held_out():
    persons = np.repeat(np.arange(1, 41), 3)
    first = choose_identities(persons, share=0.25, seed=1)
    assert len(first) == 10
    assert np.array_equal(first, choose_identities(persons[::-1], share=0.25, seed=1))
    assert not np.array_equal(first, choose_identities(persons, share=0.25, seed=2))


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_too_few_people_on_either_side_are_refused(share):
    with pytest.raises(ValueError, match=rf"validation\.share: {share} of 6 identities are [15]; expected two"):
        choose_identities(np.arange(6), share=share, seed=1)


def judge(persons, cameras, is_infrared=None, clustering=None):
    size = len(persons)
    is_infrared = np.zeros(size, dtype=bool) if is_infrared is None else np.array(is_infrared)
    return HeldOut(np.arange(size), np.array(persons), np.array(cameras), is_infrared, 4, clustering)


CORNERS = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]], dtype=np.float32)


def test_images_of_the_same_camera_are_not_to_be_found_again():
    scores = judge([1, 1, 2, 2], [1, 2, 1, 2]).find_again(CORNERS)
    assert scores == {"val_mAP": 1.0, "val_rank1": 1.0}
    with pytest.raises(ValueError, match="match"):
        judge([1, 1, 2, 2], [1, 1, 2, 2]).find_again(CORNERS)


def test_where_no_camera_is_known_an_image_does_not_find_itself():
    scores = judge([1, 2, 1, 2], [NO_CAMERA] * 4).find_again(CORNERS)
    assert scores["val_rank1"] == 0.0


def test_with_two_modalities_infrared_searches_visible():
    scores = judge([1, 2, 2, 1], [3, 1, 3, 1], is_infrared=[True, False, True, False]).find_again(CORNERS)
    assert scores == {"val_mAP": 0.5, "val_rank1": 0.0}


def test_the_silhouette_is_high_for_tight_clusters_and_reads_no_identity():
    generator = np.random.default_rng(0)
    centres = np.repeat(np.eye(4, 8), 6, axis=0)
    tight, loose = (centres + spread * generator.normal(size=centres.shape) for spread in (0.02, 0.2))
    cameras = np.ones(24)
    assert silhouette(tight.astype(np.float32), cameras, CLUSTERING) > 0.9
    assert silhouette(loose.astype(np.float32), cameras, CLUSTERING) < 0.9


def test_images_that_form_no_clusters_have_the_lowest_silhouette():
    one = np.ones((12, 4), dtype=np.float32) + 1e-3 * np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    assert silhouette(one, np.ones(12), {**CLUSTERING, "eps": 1e-6, "min_samples": 5}) == -1.0


def test_clusters_of_one_image_each_have_the_lowest_silhouette():
    apart = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
    assert silhouette(apart, np.ones(12), {**CLUSTERING, "k2": 1, "eps": 1e-6, "min_samples": 1}) == -1.0
