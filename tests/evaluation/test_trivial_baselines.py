import numpy as np
import pytest

from pipeline.evaluation.ranking import rank_embeddings
from pipeline.evaluation.trivial_baselines import chance, colour_stripes, raw_pixels


def images(count=300, height=12, width=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_colour_stripes_count_the_colours_of_each_stripe():
    pictures = images()
    features = colour_stripes(pictures, stripes=3, bins=4)
    assert features.shape == (300, 3 * 64)
    assert features.dtype == np.float32
    expected = np.zeros((3, 4, 4, 4))
    for row in range(12):
        for red, green, blue in pictures[270, row]:
            expected[row // 4, red // 64, green // 64, blue // 64] += 1
    np.testing.assert_allclose(features[270], np.sqrt(expected.ravel() / 96), rtol=1e-6)


def test_colour_stripes_have_length_one():
    np.testing.assert_allclose(np.linalg.norm(colour_stripes(images(), stripes=5, bins=3), axis=1), 1, rtol=1e-5)


def test_colour_stripes_do_not_see_what_moves_within_a_stripe():
    pictures = images(height=6)
    moved = pictures[:, [1, 0, 2, 3, 5, 4], ::-1]
    assert np.array_equal(colour_stripes(pictures, stripes=3, bins=8), colour_stripes(moved, stripes=3, bins=8))


def test_raw_pixels_average_whole_cells():
    pictures = images()
    features = raw_pixels(pictures, height=3, width=4).reshape(300, 3, 4, 3)
    np.testing.assert_allclose(features[299, 1, 2], pictures[299, 4:8, 4:6].mean(axis=(0, 1)) / 255, rtol=1e-6)
    assert np.array_equal(
        raw_pixels(pictures, height=12, width=8), pictures.reshape(300, -1).astype(np.float32) / np.float32(255)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: colour_stripes(images(), stripes=13, bins=8), "13 stripes do not fit into 12"),
        (lambda: colour_stripes(images(), stripes=3, bins=0), "1 to 256 bins"),
        (lambda: raw_pixels(images(), height=5, width=4), "12x8 can't be averaged to 5x4"),
        (
            lambda: raw_pixels(images().astype(np.float32), height=6, width=4),
            "images: expected images .* from 0 to 255.*float32",
        ),
    ],
)
def test_images_that_do_not_fit_are_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def labels():
    return {
        "query_ids": np.repeat(np.arange(1, 11), 2),
        "query_cameras": np.tile([1, 2], 10),
        "gallery_ids": np.repeat(np.arange(1, 11), 4),
        "gallery_cameras": np.tile([1, 2, 3, 4], 10),
    }


IS_QUERY = np.arange(60) >= 40


def measure(features):
    return rank_embeddings(features[IS_QUERY], features[~IS_QUERY], metric="cosine", **labels()).metrics()


def test_chance_is_the_same_for_the_same_seed():
    settings = {"measure": measure, "is_query": IS_QUERY, "columns": 8, "trials": 5}
    assert chance(seed=1, **settings) == chance(seed=1, **settings)
    assert chance(seed=1, **settings) != chance(seed=2, **settings)


def test_chance_finds_a_match_first_as_often_as_matches_are_in_the_gallery():
    metrics = chance(measure, IS_QUERY, columns=8, trials=100, seed=0)
    assert metrics["rank1"] == pytest.approx(3 / 39, abs=0.02)
    assert (metrics["num_queries"], metrics["num_valid_queries"]) == (20, 20)
    assert 0 < metrics["mAP_std"] < 0.1
