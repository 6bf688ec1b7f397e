"""Every public function takes and refuses the same inputs, in the same words."""

import numpy as np
import pytest
import torch

from pipeline.clustering.pseudo_labels import find_clusters
from pipeline.clustering.quality import measure_quality
from pipeline.evaluation.postprocessing import unit_rows, whiten
from pipeline.evaluation.query_expansion import expand_queries
from pipeline.evaluation.ranking import rank_distances, rank_embeddings
from pipeline.evaluation.reranking import rerank
from pipeline.evaluation.trivial_baselines import colour_stripes, raw_pixels
from pipeline.evaluation.verification import verify_embeddings
from pipeline.neighbors.arrays import as_distances, as_features, as_ids
from pipeline.neighbors.cameras import center_cameras
from pipeline.neighbors.jaccard import jaccard_distance
from pipeline.neighbors.nearest import find_nearest

FEATURES = np.random.default_rng(0).standard_normal((24, 4)).astype(np.float32)
IDS, CAMERAS = np.repeat(np.arange(1, 7), 4), np.tile([1, 2, 1, 2], 6)
ENCODING = {"k1": 5, "k2": 2, "metric": "euclidean"}
CLUSTERING = {"center_cameras": True, "local_weight": 0.0, "k1": 5, "k2": 2, "eps": 0.6, "min_samples": 2}


def people(ids=IDS, cameras=CAMERAS):
    return {"query_ids": ids, "gallery_ids": ids, "query_cameras": cameras, "gallery_cameras": cameras}


def reranked(query, gallery):
    return rerank(query, gallery, **ENCODING, weight=0.3, convention="zhong").rows(0, len(query))


OF_FEATURES = {
    "rank_embeddings": ("query", lambda rows: rank_embeddings(rows, rows, **people(), metric="cosine").metrics()),
    "verify_embeddings": (
        "query",
        lambda rows: verify_embeddings(rows, rows, **people(), metric="euclidean", false_positive_rates=(0.1,)),
    ),
    "rerank": ("query", lambda rows: reranked(rows, rows)),
    "rerank, gallery": ("gallery", lambda rows: reranked(FEATURES, rows)),
    "expand_queries": ("query", lambda rows: expand_queries(rows, rows, neighbors=3, alpha=1.0)),
    "unit_rows": ("features", unit_rows),
    "whiten": ("features", lambda rows: whiten(rows, fitted_on=FEATURES, components=2)),
    "whiten, fitted": ("fitted_on", lambda rows: whiten(FEATURES, fitted_on=rows, components=2)),
    "center_cameras": ("features", lambda rows: center_cameras(rows, CAMERAS)),
    "find_nearest": ("features", lambda rows: find_nearest(rows, 3, metric="euclidean").distances),
    "find_nearest, gallery": ("gallery", lambda rows: find_nearest(FEATURES, 3, gallery=rows, metric="cosine").rows),
    "jaccard_distance": (
        "features",
        lambda rows: jaccard_distance(rows, **ENCODING, convention="cluster_contrast").to_dense(missing=1),
    ),
    "find_clusters": (r"views\[0\]", lambda rows: find_clusters([rows], CAMERAS, **CLUSTERING)),
}
KINDS = {
    "lists": lambda rows: rows.tolist(),
    "float64": lambda rows: rows.astype(np.float64),
    "big-endian": lambda rows: rows.astype(">f4"),
    "every other column": lambda rows: np.repeat(rows, 2, axis=1)[:, ::2],
    "tensor": torch.from_numpy,
    "float64 tensor with gradient": lambda rows: torch.from_numpy(rows).double().requires_grad_(),
    "list of tensors": lambda rows: list(torch.from_numpy(rows)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", OF_FEATURES)
def test_every_kind_of_features_gives_the_bits_of_float32_arrays(function, kind):
    _, call = OF_FEATURES[function]
    np.testing.assert_equal(call(KINDS[kind](FEATURES)), call(FEATURES))


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (FEATURES.astype(np.complex64), r"complex64 \[24, 4\]"),
        (torch.ones(3, 2, dtype=torch.complex64), r"complex64 \[3, 2\]"),
        (FEATURES[0], r"float32 \[4\]"),
        (np.zeros((0, 4)), r"\[0, 4\]"),
        ([["a", "b"]], r"<U1 \[1, 2\]"),
        ([[1.0, None]], r"object \[1, 2\]"),
        ([[1.0], [1.0, 2.0]], "inhomogeneous"),
    ],
)
@pytest.mark.parametrize("function", OF_FEATURES)
def test_what_are_no_features_is_refused_in_the_same_words(function, values, got):
    name, call = OF_FEATURES[function]
    with pytest.raises(ValueError, match=rf"^{name}: expected numbers \[rows, columns\].* got .*{got}"):
        call(values)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
@pytest.mark.parametrize("function", OF_FEATURES)
def test_what_is_not_finite_in_float32_is_refused_with_its_rows(function, value):
    name, call = OF_FEATURES[function]
    rows = FEATURES.astype(np.float64)
    rows[[3, 7], 1] = value
    named = {
        "rerank": r"query and gallery: 4 rows hold NaN or infinity.*\[3, 7, 27, 31\]",
        "rerank, gallery": r"query and gallery: 2 rows hold NaN or infinity.*\[27, 31\]",
    }
    with pytest.raises(ValueError, match=named.get(function, rf"^{name}: 2 rows hold NaN or infinity.*\[3, 7\]")):
        call(rows)


def test_float64_features_are_rounded_to_the_nearest_of_float32():
    rows = np.random.default_rng(1).standard_normal((5, 3))
    np.testing.assert_array_equal(as_features("query", rows), rows.astype(np.float32))
    np.testing.assert_array_equal(as_features("query", torch.from_numpy(rows)), rows.astype(np.float32))


def test_float32_features_are_not_copied():
    assert np.shares_memory(as_features("query", FEATURES).numpy(), FEATURES)
    fixed = FEATURES.copy()
    fixed.flags.writeable = False
    assert np.shares_memory(as_features("query", fixed).numpy(), fixed)


def distances_of(kind):
    return np.abs(FEATURES @ FEATURES.T).astype(kind)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_distances_stay_as_they_are(kind):
    given = distances_of(kind)
    for values in (given, torch.from_numpy(given)):
        taken = as_distances("distances", values, (24, 24))
        assert taken.dtype == kind
        np.testing.assert_array_equal(taken, given)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[0.1, 0.2]], np.float64),
        (np.array([[2**24, 2**24 + 1]]), np.float64),
        (np.array([[1, 2]], dtype=np.uint8), np.float32),
        (np.array([[1, 2]], dtype=np.float16), np.float32),
        (torch.tensor([[1, 2]], dtype=torch.bfloat16), np.float32),
    ],
)
def test_other_distances_become_the_narrowest_kind_that_holds_them(values, kind):
    taken = as_distances("distances", values, (1, 2))
    assert taken.dtype == kind
    assert taken[0, 0] < taken[0, 1]


@pytest.mark.parametrize("values", [np.ones((2, 3)), np.ones((1, 2), complex), [["a", "b"]], [[1.0, None]], [1.0, 2.0]])
def test_what_are_no_distances_is_refused(values):
    with pytest.raises(ValueError, match=r"^distances: expected numbers \[1, 2\], queries and gallery images.*, got"):
        as_distances("distances", values, (1, 2))


@pytest.mark.parametrize(
    "ids", [[3, 1], np.array([3, 1], np.uint8), np.array([3.0, 1.0]), torch.tensor([3, 1]), np.array([3, 1], object)]
)
def test_whole_numbers_become_int64(ids):
    taken = as_ids("query_ids", ids)
    assert taken.dtype == np.int64
    assert taken.tolist() == [3, 1]


@pytest.mark.parametrize("ids", [["b", "a"], np.array(["b", "a"]), np.array(["b", "a"], object)])
def test_texts_stay_texts(ids):
    assert as_ids("query_ids", ids).tolist() == ["b", "a"]


OF_IDS = {
    **{
        name: lambda ids, name=name: rank_distances(distances_of(np.float32), **people() | {name: ids})
        for name in ("query_ids", "gallery_ids", "query_cameras", "gallery_cameras")
    },
    "own_rows": lambda ids: rank_distances(distances_of(np.float32), **people(), own_rows=ids),
    "labels": measure_quality,
    "identities": lambda ids: measure_quality(IDS, identities=ids),
    "before": lambda ids: measure_quality(IDS, before=ids),
    "cameras": lambda ids: center_cameras(FEATURES, ids),
}


@pytest.mark.parametrize("spoil", [np.nan, np.inf, 1.5, 2.0**70])
@pytest.mark.parametrize("name", OF_IDS)
def test_numbers_that_are_no_ids_are_refused_with_their_rows(name, spoil):
    ids = IDS.astype(np.float64)
    ids[[2, 9]] = spoil
    with pytest.raises(ValueError, match=rf"^{name}: 2 rows hold NaN, a fraction or .*\[2, 9\]"):
        OF_IDS[name](ids)


@pytest.mark.parametrize("ids", [IDS[:, None], IDS.astype(complex), np.array([*IDS[:-1], None], object)])
@pytest.mark.parametrize("name", OF_IDS)
def test_what_are_no_ids_is_refused_in_the_same_words(name, ids):
    with pytest.raises(ValueError, match=rf"^{name}: expected whole numbers or texts \[(24|N)\].* got"):
        OF_IDS[name](ids)


def test_texts_and_numbers_are_not_compared():
    with pytest.raises(ValueError, match=r"^gallery_ids: expected int64 as query_ids are, got str"):
        rank_distances(distances_of(np.float32), **people() | {"gallery_ids": IDS.astype(str)})


def test_people_may_be_called_by_texts():
    found = rank_distances(distances_of(np.float32), **people(IDS.astype(str), CAMERAS.astype(str)))
    assert found.metrics() == rank_distances(distances_of(np.float32), **people()).metrics()


@pytest.mark.parametrize("row", [-2, 24])
def test_own_rows_are_rows_of_the_gallery(row):
    own_rows = np.arange(24)
    own_rows[5] = row
    with pytest.raises(ValueError, match=r"^own_rows: 1 rows are no gallery rows: expected -1 to 23.*\[5\]"):
        rank_distances(distances_of(np.float32), **people(), own_rows=own_rows)


def test_images_may_be_lists_of_whole_numbers():
    images = np.random.default_rng(2).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    for values in (images, images.tolist(), torch.from_numpy(images)):
        np.testing.assert_array_equal(raw_pixels(values, height=2, width=2), raw_pixels(images, height=2, width=2))
        np.testing.assert_array_equal(
            colour_stripes(values, stripes=2, bins=2), colour_stripes(images, stripes=2, bins=2)
        )


@pytest.mark.parametrize("images", [np.ones((2, 4, 4, 3)), np.full((1, 2, 2, 3), 256), np.zeros((2, 2, 3), np.uint8)])
@pytest.mark.parametrize(
    "take", [lambda rows: raw_pixels(rows, height=2, width=2), lambda rows: colour_stripes(rows, stripes=2, bins=2)]
)
def test_what_are_no_images_is_refused(take, images):
    with pytest.raises(
        ValueError, match=r"^images: expected images \[N, H, W, 3\] of whole numbers from 0 to 255.*, got"
    ):
        take(images)
