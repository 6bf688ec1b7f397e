import numpy as np
import pytest

from pipeline.evaluation.labels import CameraRule, Labels
from pipeline.evaluation.precomputed import COLUMNS_AT_ONCE, EDGES_AT_ONCE, count_nearer_precomputed

RULE = CameraRule("", removes_same_camera=True, unseen=((1, 2), (3, 1)))
NUM_QUERY, NUM_GALLERY = 12, 2 * COLUMNS_AT_ONCE + 11


@pytest.fixture(scope="module")
def sides():
    """Query r has r images of its identity in the gallery, of every camera, in every piece; the rest are of others."""
    rng = np.random.default_rng(0)
    gallery_ids = rng.integers(100, 400, NUM_GALLERY)
    own = rng.permutation(NUM_GALLERY)
    for query in range(NUM_QUERY):
        gallery_ids[own[query * NUM_QUERY : query * NUM_QUERY + query]] = query + 1
    cameras = rng.integers(1, 5, NUM_QUERY), rng.integers(1, 5, NUM_GALLERY)
    return np.arange(1, NUM_QUERY + 1), gallery_ids, *cameras


def some_distances(kind, values):
    """Distances of few ``values``, so that many are equal, matches nearer than most."""
    rng = np.random.default_rng(1)
    return (rng.integers(0, values, (NUM_QUERY, NUM_GALLERY)) / values).astype(kind)


def hidden_from(camera, gallery_cameras):
    return np.isin(gallery_cameras, [other for one, other in RULE.unseen if one == camera])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("values", [3, 1000, 10**7])
def test_counts_are_those_of_looking_at_every_image(sides, kind, values):
    distances = some_distances(kind, values)
    (found,) = count_nearer_precomputed(Labels(*sides, RULE), distances, with_identities=True)
    query_ids, gallery_ids, query_cameras, gallery_cameras = sides
    assert len({count // EDGES_AT_ONCE for count in found.num_matches}) > 1
    for query, (identity, camera, row) in enumerate(zip(query_ids, query_cameras, distances, strict=True)):
        is_seen = ~hidden_from(camera, gallery_cameras)
        is_own = gallery_ids == identity
        matches = np.sort(row[is_own & is_seen & (gallery_cameras != camera)])
        is_wrong = is_seen & ~is_own
        assert found.num_matches[query] == len(matches)
        expected = [np.count_nonzero(row[is_wrong] <= match) for match in matches]
        assert found.images[query, : len(matches)].tolist() == expected
        is_nearer = is_wrong & (row <= matches[0] if len(matches) else False)
        assert found.identities[query] == len(set(gallery_ids[is_nearer]))


def test_what_a_query_does_not_see_counts_at_no_distance(sides):
    distances = np.zeros((NUM_QUERY, NUM_GALLERY), np.float32)
    labels = Labels(*sides, RULE)
    (near,) = count_nearer_precomputed(labels, distances, with_identities=False)
    for query, camera in enumerate(sides[2]):
        distances[query, hidden_from(camera, sides[3])] = np.finfo(np.float32).max
    distances[distances == 0] = np.finfo(np.float32).max
    (far,) = count_nearer_precomputed(labels, distances, with_identities=False)
    np.testing.assert_array_equal(near.images, far.images)
    assert near.images[:, 0].max() == labels.num_wrong[near.num_matches > 0].max()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, COLUMNS_AT_ONCE, NUM_GALLERY - 1])
def test_broken_rows_are_named_wherever_they_break_and_without_a_match_too(sides, value, column):
    distances = some_distances(np.float32, 1000)
    distances[[0, 7], column] = value
    with pytest.raises(ValueError, match=r"distances: 2 rows hold NaN or infinity.*\[0, 7\]"):
        list(count_nearer_precomputed(Labels(*sides, RULE), distances, with_identities=True))


def test_a_match_that_is_not_finite_breaks_its_row(sides):
    distances = some_distances(np.float32, 1000)
    distances[11, np.flatnonzero(sides[1] == 12)] = np.nan
    with pytest.raises(ValueError, match=r"distances: 1 rows hold NaN or infinity.*\[11\]"):
        list(count_nearer_precomputed(Labels(*sides, RULE), distances, with_identities=False))
