from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.labels import SAME_CAMERA_REMOVED, Labels
from pipeline.evaluation.ranking import rank_by, rank_distances, rank_embeddings
from pipeline.evaluation.reranking import rerank

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "rerank.npz")
USUAL = {"metric": "euclidean", "k1": 4, "k2": 2, "weight": 0.3, "convention": "zhong"}


def oracle(query, gallery, *, metric, k1, k2, weight, convention):
    """The equations with dense matrices in float64; ties go to the lower row."""
    everyone = np.concatenate([query, gallery]).astype(np.float64)
    if metric == "cosine":
        everyone /= np.linalg.norm(everyone, axis=1, keepdims=True)
    distances = np.square(everyone[:, None] - everyone).sum(axis=2).round(12)
    relative = distances / np.where(distances.max(axis=1) > 0, distances.max(axis=1), 1)[:, None]
    if convention == "deep_person_reid":
        relative = relative**2
    order = np.argsort(distances, axis=1, kind="stable")

    def reciprocal(image, k):
        return {other for other in order[image, : k + 1] if image in order[other, : k + 1]}

    encoding = np.zeros_like(distances)
    for image in range(len(everyone)):
        own = expanded = reciprocal(image, k1) | {image}
        for candidate in own:
            theirs = reciprocal(candidate, round(k1 / 2))
            if 3 * len(theirs & own) > 2 * len(theirs):
                expanded = expanded | theirs
        members = sorted(expanded)
        encoding[image, members] = np.exp(-relative[image, members])
    encoding /= encoding.sum(axis=1, keepdims=True)
    if k2 > 1:
        encoding = np.array([encoding[order[image, :k2]].mean(axis=0) for image in range(len(everyone))])
    shared = np.minimum(encoding[: len(query), None], encoding[len(query) :]).sum(axis=2)
    return (1 - weight) * (1 - shared / (2 - shared)) + weight * relative[: len(query), len(query) :]


def pairs(reranked):
    num_queries, num_images = reranked.jaccard.num_rows, reranked.jaccard.num_columns
    queries, images = np.divmod(np.arange(num_queries * num_images), num_images)
    return reranked.exact(queries, images).reshape(num_queries, num_images)


@pytest.mark.parametrize(("k1", "k2", "weight"), [(20, 6, 0.3), (10, 1, 0.0), (6, 3, 0.5), (30, 6, 0.3)])
def test_the_public_code_gives_the_same_distances(k1, k2, weight):
    reranked = rerank(
        GOLDEN["query_features"],
        GOLDEN["gallery_features"],
        metric="euclidean",
        k1=k1,
        k2=k2,
        weight=weight,
        convention="deep_person_reid",
    )
    expected = GOLDEN[f"expected_k1_{k1}_k2_{k2}_lambda_{weight}"]
    np.testing.assert_allclose(reranked.rows(0, 60), expected, atol=2e-6)
    np.testing.assert_allclose(pairs(reranked), expected, atol=2e-6)


@st.composite
def cases(draw):
    """Few values: ties, duplicates and collapsed embeddings are common."""
    columns, num_query = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    num_images = draw(st.integers(num_query + 1, 14))
    numbers = st.integers(-2, 2)
    rows = draw(st.lists(st.tuples(*[numbers] * columns), min_size=num_images, max_size=num_images))
    rows = np.array(rows, dtype=np.float32)
    return rows[:num_query], rows[num_query:]


@settings(max_examples=150, deadline=None)
@given(
    cases(),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from(["zhong", "deep_person_reid"]),
)
def test_ties_and_duplicates_are_as_in_the_dense_equations(sides, k1, k2, weight, convention):
    num_images = len(sides[0]) + len(sides[1])
    given = {
        "metric": "euclidean",
        "k1": min(k1, num_images - 1),
        "k2": min(k2, num_images),
        "weight": weight,
        "convention": convention,
    }
    np.testing.assert_allclose(pairs(rerank(*sides, **given)), oracle(*sides, **given), atol=1e-6)


@pytest.mark.parametrize("convention", ["zhong", "deep_person_reid"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_random_features_are_as_in_the_dense_equations(metric, convention):
    given = {"metric": metric, "k1": 7, "k2": 3, "weight": 0.3, "convention": convention}
    query, gallery = sides_of(identities=12)
    expected = oracle(query, gallery, **given)
    reranked = rerank(query, gallery, **given)
    np.testing.assert_allclose(pairs(reranked), expected, atol=1e-6)
    np.testing.assert_allclose(reranked.rows(3, 9), expected[3:9], atol=3e-6)
    assert reranked.jaccard.num_rows == len(query)
    assert len(reranked.jaccard.columns) < expected.size / 2


def sides_of(identities, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((identities, 16))
    rows = np.repeat(centers, 8, axis=0) + 0.4 * rng.standard_normal((identities * 8, 16))
    is_query = np.arange(len(rows)) % 8 == 0
    return rows[is_query].astype(np.float32), rows[~is_query].astype(np.float32)


def labels_of(query, gallery, seed=0):
    rng = np.random.default_rng(seed)
    names = ("query_ids", "gallery_ids", "query_cameras", "gallery_cameras")
    sizes, largest = [len(query), len(gallery)] * 2, (5, 5, 3, 3)
    return {name: rng.integers(1, most + 1, size) for name, size, most in zip(names, sizes, largest, strict=True)}


def assert_same(one, two):
    for name in ("average_precision", "inverse_negative_penalty", "first_match", "is_valid"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize("duplicates", [False, True])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("convention", ["zhong", "deep_person_reid"])
def test_galleries_are_ranked_by_the_final_distances_to_their_last_bit(convention, weight, duplicates):
    query, gallery = sides_of(identities=25)
    if duplicates:
        gallery = gallery[np.random.default_rng(1).integers(0, 40, len(gallery))]
    reranked = rerank(query, gallery, **USUAL | {"convention": convention, "weight": weight})
    labels = labels_of(query, gallery)
    expected = rank_distances(pairs(reranked), **labels)
    for block_size in (3, 64, 2048):
        everyone = Labels(**labels, rule=SAME_CAMERA_REMOVED)
        found = rank_by(reranked, everyone, average_precision="standard", with_identities=False, block_size=block_size)
        assert_same(found, expected)
    assert_same(rank_distances(reranked, **labels), expected)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1e3, 0.0), (1.0, 30.0)])
@pytest.mark.parametrize("convention", ["zhong", "deep_person_reid"])
def test_rough_distances_lie_within_their_margin(convention, scale, offset):
    query, gallery = (side * np.float32(scale) + np.float32(offset) for side in sides_of(identities=25))
    reranked = rerank(query, gallery, **USUAL | {"convention": convention})
    off = np.abs(reranked.rows(0, len(query)) - pairs(reranked)).max(axis=1)
    assert (off < reranked.margin).all()
    assert np.median(reranked.margin) < 0.1


def test_the_weight_one_ranks_as_without_reranking():
    query, gallery = sides_of(identities=25)
    labels = labels_of(query, gallery)
    expected = rank_embeddings(query, gallery, metric="euclidean", **labels)
    assert_same(rank_distances(rerank(query, gallery, **USUAL | {"weight": 1.0}), **labels), expected)


def test_reranking_finds_more_of_identities_that_lie_in_clusters():
    query, gallery = sides_of(identities=25)
    labels = {
        "query_ids": np.arange(1, 26),
        "gallery_ids": np.repeat(np.arange(1, 26), 7),
        "query_cameras": np.ones(25),
        "gallery_cameras": np.full(175, 2),
    }
    noise = np.random.default_rng(2).standard_normal((200, 16)).astype(np.float32)
    query, gallery = query + 0.6 * noise[:25], gallery + 0.6 * noise[25:]
    plain = rank_embeddings(query, gallery, metric="euclidean", **labels).metrics()["mAP"]
    reranked = rank_distances(rerank(query, gallery, **USUAL | {"k1": 6}), **labels).metrics()["mAP"]
    assert reranked > plain + 0.02


def test_embeddings_too_near_to_each_other_are_refused():
    query, gallery = (side * np.float32(1e-18) for side in sides_of(identities=4))
    with pytest.raises(ValueError, match="scale the embeddings up"):
        rerank(query, gallery, **USUAL)


def test_neither_block_size_nor_threads_nor_the_kind_of_array_move_a_bit():
    query, gallery = sides_of(identities=10)
    expected = pairs(rerank(query, gallery, **USUAL))
    threads = torch.get_num_threads()
    for block_size in (1, 7, 1000):
        torch.set_num_threads(1 + block_size % 2)
        try:
            found = rerank(torch.from_numpy(query), torch.from_numpy(gallery), **USUAL, block_size=block_size)
        finally:
            torch.set_num_threads(threads)
        np.testing.assert_array_equal(pairs(found), expected)


def test_the_scale_of_features_does_not_matter():
    query, gallery = sides_of(identities=10)
    expected = pairs(rerank(query, gallery, **USUAL))
    scale = np.float32(2.0**20)
    np.testing.assert_array_equal(pairs(rerank(query * scale, gallery * scale, **USUAL)), expected)


def test_one_query_and_one_image_are_enough():
    found = rerank([[1.0, 0.0]], [[0.0, 1.0]], **USUAL | {"k1": 1, "k2": 1})
    np.testing.assert_allclose(found.rows(0, 1), [[0.3 + 0.7 * (1 - np.exp(-1))]], rtol=1e-6)


def test_collapsed_features_are_all_at_distance_zero():
    found = rerank(np.ones((2, 3)), np.ones((4, 3)), **USUAL | {"k1": 5, "k2": 1})
    np.testing.assert_allclose(pairs(found), np.zeros((2, 4)), atol=1e-7)


def test_progress_is_told_to_its_end():
    told = []
    rerank(*sides_of(identities=10), **USUAL, block_size=16, progress=lambda done, of: told.append((done, of)))
    assert told == [(done, len(told)) for done in range(1, len(told) + 1)]
    assert len(told) > 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k1": 16}, "k1: expected 1 to 15 for 16 images in all, got 16"),
        ({"k1": 0}, "k1: expected 1 to 15"),
        ({"k2": 17}, "k2: expected 1 to 16"),
        ({"k2": 0}, "k2: expected 1 to 16"),
        ({"weight": 1.1}, "weight of the features' distance: expected 0 to 1, got 1.1"),
        ({"weight": float("nan")}, "expected 0 to 1, got nan"),
        ({"convention": "cluster_contrast"}, "expected one of zhong, deep_person_reid, got 'cluster_contrast'"),
        ({"metric": "manhattan"}, "metric: expected one of cosine, euclidean, got 'manhattan'"),
    ],
)
def test_what_cannot_be_reranked_is_an_error_that_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        rerank(*sides_of(identities=2), **USUAL | change)


@pytest.mark.parametrize(
    ("query", "gallery", "message"),
    [
        (np.ones((0, 3)), np.ones((4, 3)), r"query: expected .* got .*\[0, 3\]"),
        (np.ones((2, 3)), np.ones((0, 3)), r"gallery: expected .* got .*\[0, 3\]"),
        (np.ones((2, 3)), np.ones((4, 2)), "gallery: expected 3 columns, as query has, got 2"),
        (np.ones((2, 3)), np.full((4, 3), np.nan), "query and gallery: 4 rows hold NaN or infinity"),
    ],
)
def test_features_that_do_not_fit_are_refused(query, gallery, message):
    with pytest.raises(ValueError, match=message):
        rerank(query, gallery, **USUAL)


@pytest.mark.gpu
@pytest.mark.parametrize("convention", ["zhong", "deep_person_reid"])
def test_a_gpu_moves_no_bit_of_distances_or_rankings(convention):
    query, gallery = sides_of(identities=25)
    given = USUAL | {"convention": convention}
    expected, found = rerank(query, gallery, **given), rerank(query, gallery, **given, device="cuda")
    np.testing.assert_array_equal(pairs(found), pairs(expected))
    assert (np.abs(found.rows(0, 25) - pairs(expected)).max(axis=1) < found.margin).all()
    labels = labels_of(query, gallery)
    assert_same(rank_distances(found, **labels), rank_distances(expected, **labels))
