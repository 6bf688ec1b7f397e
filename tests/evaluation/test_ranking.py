from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.evaluation import counting
from pipeline.evaluation import labels as labels_module
from pipeline.evaluation.counting_by_torch import count_by_torch, remove_by_torch
from pipeline.evaluation.labels import ALL_SEEN, SAME_CAMERA_REMOVED, CameraRule, Labels
from pipeline.evaluation.ranking import Ranking, rank_distances, rank_embeddings

GOLDEN = Path(__file__).parents[1] / "golden" / "market_protocol.npz"


def oracle(distances, query_ids, gallery_ids, query_cameras, gallery_cameras):
    """The protocol as its text says it: sort every gallery, wrong images first among equals, walk down."""
    rows = []
    for query, (identity, camera) in enumerate(zip(query_ids, query_cameras, strict=True)):
        kept = [
            (distances[query][row], gallery_ids[row] == identity)
            for row in range(len(gallery_ids))
            if not (gallery_ids[row] == identity and gallery_cameras[row] == camera)
        ]
        places = [place for place, (_, is_match) in enumerate(sorted(kept), 1) if is_match]
        precisions = [hits / place for hits, place in enumerate(places, 1)]
        rows.append((np.mean(precisions), len(places) / places[-1], places[0]) if places else (np.nan, np.nan, 0))
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def assert_equals_oracle(ranking: Ranking, expected) -> None:
    np.testing.assert_allclose(ranking.average_precision, expected[0], rtol=1e-13)
    np.testing.assert_allclose(ranking.inverse_negative_penalty, expected[1], rtol=1e-13)
    np.testing.assert_array_equal(ranking.first_match, expected[2])
    np.testing.assert_array_equal(ranking.is_valid, np.asarray(expected[2]) > 0)


def assert_same(one: Ranking, two: Ranking) -> None:
    for name in ("average_precision", "inverse_negative_penalty", "first_match", "is_valid"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@st.composite
def cases(draw):
    """Few ids, few cameras, few values: ties, duplicates, queries without a match and single images are common."""
    num_query, num_gallery = draw(st.integers(1, 6)), draw(st.integers(1, 14))
    columns = draw(st.integers(1, 3))

    def integers(count, low, high):
        return np.array(draw(st.lists(st.integers(low, high), min_size=count, max_size=count)))

    return {
        "query": integers(num_query * columns, -2, 2).reshape(num_query, columns).astype(np.float32),
        "gallery": integers(num_gallery * columns, -2, 2).reshape(num_gallery, columns).astype(np.float32),
        "query_ids": integers(num_query, 1, 3),
        "gallery_ids": integers(num_gallery, 0, 3),
        "query_cameras": integers(num_query, 1, 2),
        "gallery_cameras": integers(num_gallery, 1, 2),
    }


def has_a_match(case) -> bool:
    same = case["query_ids"][:, None] == case["gallery_ids"]
    return bool((same & (case["query_cameras"][:, None] != case["gallery_cameras"])).any())


def labels_of(case):
    return {name: value for name, value in case.items() if name not in ("query", "gallery")}


def random_case(rng, num_query=40, num_gallery=300, columns=200):
    return {
        "query": rng.standard_normal((num_query, columns), dtype=np.float32),
        "gallery": rng.standard_normal((num_gallery, columns), dtype=np.float32),
        "query_ids": rng.integers(1, 20, num_query),
        "gallery_ids": rng.integers(0, 20, num_gallery),
        "query_cameras": rng.integers(1, 5, num_query),
        "gallery_cameras": rng.integers(1, 5, num_gallery),
    }


@pytest.fixture(scope="module")
def golden():
    arrays = np.load(GOLDEN)
    kept = arrays["gallery_pids"] != -1
    labels = {
        "query_ids": arrays["query_pids"],
        "gallery_ids": arrays["gallery_pids"][kept],
        "query_cameras": arrays["query_camids"],
        "gallery_cameras": arrays["gallery_camids"][kept],
    }
    return arrays, kept, labels


def assert_golden(ranking: Ranking, arrays) -> None:
    metrics = ranking.metrics()
    assert (metrics["num_queries"], metrics["num_valid_queries"]) == (80, 77)
    np.testing.assert_allclose([ranking.cmc(rank) for rank in range(1, 51)], arrays["expected_cmc"], atol=3e-8)
    assert metrics["mAP"] == pytest.approx(float(arrays["expected_mAP"]), abs=1e-12)
    assert metrics["mINP"] == pytest.approx(float(arrays["expected_mINP"]), abs=1e-12)
    found = ranking.average_precision[ranking.is_valid]
    np.testing.assert_allclose(found, arrays["expected_AP_per_valid_query"], rtol=1e-12)


def test_distances_give_what_the_public_codes_give(golden):
    arrays, kept, labels = golden
    assert_golden(rank_distances(arrays["distances"][:, kept], **labels), arrays)


def test_embeddings_give_what_the_public_codes_give(golden):
    arrays, kept, labels = golden
    query, gallery = arrays["query_features"], arrays["gallery_features"][kept]
    assert_golden(rank_embeddings(query, gallery, metric="euclidean", **labels), arrays)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_distances_are_ranked_as_sorting_would(case):
    assume(has_a_match(case))
    distances = np.abs(case["query"][:, None] - case["gallery"]).sum(axis=2)
    assert_equals_oracle(rank_distances(distances, **labels_of(case)), oracle(distances, **labels_of(case)))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_euclidean_ties_are_exact_and_pessimistic(case):
    assume(has_a_match(case))
    distances = np.square(case["query"][:, None] - case["gallery"]).sum(axis=2)
    ranking = rank_embeddings(**case, metric="euclidean")
    assert_equals_oracle(ranking, oracle(distances, **labels_of(case)))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_random_embeddings_are_ranked_as_sorting_would(metric):
    case = random_case(np.random.default_rng(0))
    query, gallery = case["query"].astype(np.float64), case["gallery"].astype(np.float64)
    if metric == "cosine":
        query, gallery = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (query, gallery))
    distances = np.square(query[:, None] - gallery).sum(axis=2)
    assert_equals_oracle(rank_embeddings(**case, metric=metric), oracle(distances, **labels_of(case)))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("copies", ["exact", "nearly"])
def test_neither_gallery_order_nor_block_size_nor_threads_move_a_bit(metric, copies):
    rng = np.random.default_rng(1)
    case = random_case(rng)
    case["gallery"] = case["gallery"][rng.integers(0, 8, 300)]
    if copies == "nearly":
        case["gallery"] *= 1 + rng.integers(-2, 3, (300, 200)).astype(np.float32) * np.float32(2**-23)
    expected = rank_embeddings(**case, metric=metric)
    threads = torch.get_num_threads()
    for block_size in (13, 60, 1000):
        order = rng.permutation(300)
        moved = case | {name: case[name][order] for name in ("gallery", "gallery_ids", "gallery_cameras")}
        torch.set_num_threads(1 + block_size % 2)
        try:
            assert_same(rank_embeddings(**moved, metric=metric, block_size=block_size), expected)
        finally:
            torch.set_num_threads(threads)


def test_differences_below_float32_products_are_seen():
    query = np.ones((1, 300), dtype=np.float32)
    gallery = np.ones((2, 300), dtype=np.float32)
    gallery[1, 7] = np.nextafter(np.float32(1), np.float32(2))
    labels = {"query_ids": [1], "query_cameras": [1], "gallery_cameras": [2, 2], "metric": "euclidean"}
    assert rank_embeddings(query, gallery, gallery_ids=[1, 0], **labels).first_match[0] == 1
    assert rank_embeddings(query, gallery, gallery_ids=[0, 1], **labels).first_match[0] == 2


def test_collapsed_embeddings_put_every_match_last():
    case = random_case(np.random.default_rng(2))
    case["query"][:], case["gallery"][:] = 1.0, 1.0
    ranking = rank_embeddings(**case, metric="cosine")
    assert_equals_oracle(ranking, oracle(np.zeros((40, 300)), **labels_of(case)))
    assert ranking.metrics()["rank20"] == 0.0


def test_rows_of_zeros_have_no_cosine_and_are_named():
    case = random_case(np.random.default_rng(2))
    case["gallery"][[3, 8]] = 0
    with pytest.raises(ValueError, match=r"gallery: 2 rows are all zeros.*\[3, 8\]"):
        rank_embeddings(**case, metric="cosine")
    assert rank_embeddings(**case, metric="euclidean").is_valid.any()


def test_scale_of_euclidean_embeddings_does_not_matter():
    case = random_case(np.random.default_rng(3))
    expected = rank_embeddings(**case, metric="euclidean")
    for scale in (np.float32(2**50), np.float32(2**-50)):
        scaled = case | {"query": case["query"] * scale, "gallery": case["gallery"] * scale}
        assert_same(rank_embeddings(**scaled, metric="euclidean"), expected)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_tensors_are_taken_like_arrays(kind):
    case = random_case(np.random.default_rng(4))
    tensors = {name: torch.from_numpy(case[name]).to(kind).requires_grad_() for name in ("query", "gallery")}
    assert_same(rank_embeddings(**case | tensors, metric="cosine"), rank_embeddings(**case, metric="cosine"))


def test_half_precision_embeddings_are_compared_in_float32():
    case = random_case(np.random.default_rng(5))
    tensors = {name: torch.from_numpy(case[name]).bfloat16() for name in ("query", "gallery")}
    arrays = {name: tensor.float().numpy() for name, tensor in tensors.items()}
    assert_same(rank_embeddings(**case | tensors, metric="cosine"), rank_embeddings(**case | arrays, metric="cosine"))


def test_same_camera_is_removed_and_distractors_stay():
    ranking = rank_distances(
        [[0.1, 0.2, 0.3, 0.4]],
        query_ids=[7],
        query_cameras=[1],
        gallery_ids=[7, 0, 7, 3],
        gallery_cameras=[1, 1, 2, 2],
    )
    assert ranking.first_match.tolist() == [2]
    assert ranking.average_precision.tolist() == [0.5]


def test_queries_without_a_match_are_left_out_and_counted():
    ranking = rank_distances(
        [[0.1, 0.2], [0.1, 0.2], [0.1, 0.2]],
        query_ids=[1, 2, 9],
        query_cameras=[1, 2, 1],
        gallery_ids=[1, 2],
        gallery_cameras=[2, 2],
    )
    metrics = ranking.metrics()
    assert (metrics["num_queries"], metrics["num_valid_queries"]) == (3, 1)
    assert metrics["mAP"] == metrics["rank1"] == metrics["mINP"] == 1.0
    assert np.isnan(ranking.average_precision[1:]).all()


def test_one_image_of_one_identity_is_found():
    metrics = rank_embeddings(
        np.ones((1, 4)),
        np.ones((1, 4)),
        query_ids=[1],
        gallery_ids=[1],
        query_cameras=[1],
        gallery_cameras=[2],
        metric="cosine",
    ).metrics()
    assert metrics == {
        **dict.fromkeys(("rank1", "rank5", "rank10", "rank20", "mAP", "mINP"), 1.0),
        "num_queries": 1,
        "num_valid_queries": 1,
    }


@pytest.mark.parametrize(("side", "value"), [("query", np.nan), ("gallery", np.inf), ("gallery", -np.inf)])
def test_non_finite_embeddings_name_their_rows(side, value):
    case = random_case(np.random.default_rng(6))
    case[side][[11, 23], 3] = value
    with pytest.raises(ValueError, match=rf"{side}: 2 rows hold NaN or infinity.*\[11, 23\]"):
        rank_embeddings(**case, metric="cosine")


def test_non_finite_distances_name_their_rows():
    case = random_case(np.random.default_rng(7))
    distances = np.zeros((40, 300))
    distances[5, 100] = np.nan
    with pytest.raises(ValueError, match=r"distances: 1 rows hold NaN or infinity.*\[5\]"):
        rank_distances(distances, **labels_of(case))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_ids": np.full(40, 99)}, "none of the 40 queries"),
        ({"gallery_ids": np.full(300, -1)}, "junk"),
        ({"query_ids": np.zeros(40, dtype=int)}, "distractors"),
        ({"gallery_ids": np.zeros(300, dtype=int)}, "none of the 40 queries"),
        ({"gallery_ids": np.ones(299)}, r"gallery_cameras: expected .*\[299\].*got .*\[300\]"),
        ({"gallery": np.ones((300, 3))}, "gallery: expected 200 columns, as query has, got 3"),
        ({"query": np.ones((39, 200))}, "query: expected 40 rows, as there are 40 query_ids, got 39"),
        (
            {"gallery": np.ones((0, 200)), "gallery_ids": [], "gallery_cameras": []},
            r"gallery_ids: .*got .*\[0\]",
        ),
        ({"query": np.ones((0, 200)), "query_ids": [], "query_cameras": []}, r"query_ids: expected .*got .*\[0\]"),
        ({"metric": "manhattan"}, "metric: expected one of cosine, euclidean, got 'manhattan'"),
    ],
)
def test_what_cannot_be_ranked_is_an_error_that_says_why(change, message):
    case = random_case(np.random.default_rng(8)) | {"metric": "cosine"}
    with pytest.raises(ValueError, match=message):
        rank_embeddings(**case | change)


@pytest.mark.parametrize("with_identities", [False, True])
@pytest.mark.parametrize("copies", [False, True])
def test_counting_in_torch_gives_what_the_compiled_loops_give(monkeypatch, with_identities, copies):
    rng = np.random.default_rng(9)
    case = random_case(rng) | {"camera_rule": CameraRule("", removes_same_camera=True, unseen=((1, 2), (3, 4), (3, 1)))}
    if copies:
        case["gallery"] = case["gallery"][rng.integers(0, 8, 300)]
    given = {"metric": "cosine", "with_identities": with_identities, "block_size": 64}
    expected = rank_embeddings(**case, **given)

    def remove(tile, columns, labels, queries, same):
        remove_by_torch(tile, columns, same, labels.view[queries], labels.unseen, float(counting.REMOVED))

    monkeypatch.setattr(counting, "_count", count_by_torch)
    monkeypatch.setattr(counting, "remove", remove)
    assert_same(rank_embeddings(**case, **given), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_gpu_gives_the_same_bits(metric):
    case = random_case(np.random.default_rng(10))
    given = {"metric": metric, "with_identities": True, "block_size": 128}
    assert_same(rank_embeddings(**case, **given, device="cuda"), rank_embeddings(**case, **given))


def trapezoids(places):
    """The area below the curve of precision over recall as the Market code walks it, one image after the other."""
    area, old_precision, hits = 0.0, 1.0, 0
    for place in range(1, max(places) + 1):
        hits += place in places
        precision = hits / place
        if place in places:
            area += (precision + old_precision) / 2 / len(places)
        old_precision = precision
    return area


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(1, 30), min_size=1, max_size=30))
def test_trapezoid_average_precision_is_the_area_that_the_market_code_adds_up(places):
    gallery_ids = [1 if place in places else 2 for place in range(1, 31)]
    ranking = rank_distances(
        [np.arange(30)],
        query_ids=[1],
        gallery_ids=gallery_ids,
        query_cameras=[1],
        gallery_cameras=[2] * 30,
        average_precision="trapezoid",
    )
    np.testing.assert_allclose(ranking.average_precision, [trapezoids(places)], rtol=1e-13)


def test_own_images_are_not_seen():
    case = random_case(np.random.default_rng(11), num_query=300)
    case |= {name.replace("query", "gallery"): case[name] for name in ("query", "query_ids")}
    case |= {"query_cameras": np.zeros(300), "gallery_cameras": np.zeros(300)}
    ranking = rank_embeddings(**case, metric="euclidean", own_rows=np.arange(300), camera_rule=ALL_SEEN)
    distances = np.square(case["query"][:, None].astype(np.float64) - case["gallery"]).sum(axis=2)
    np.fill_diagonal(distances, np.nan)
    rest = [np.flatnonzero(np.arange(300) != row) for row in range(300)]
    for row in range(0, 300, 30):
        alone = {"query_ids": case["query_ids"][[row]], "query_cameras": [0], "gallery_cameras": np.ones(299)}
        expected = oracle(distances[[row]][:, rest[row]], gallery_ids=case["gallery_ids"][rest[row]], **alone)
        assert ranking.first_match[row] == expected[2][0]
        assert ranking.average_precision[row] == pytest.approx(expected[0][0])


def test_queries_of_large_identities_are_taken_fewer_at_a_time(monkeypatch):
    case = random_case(np.random.default_rng(12))
    expected = rank_embeddings(**case, metric="cosine")
    monkeypatch.setattr(labels_module, "NUMBERS_AT_ONCE", 30)
    labels = Labels(*labels_of(case).values(), SAME_CAMERA_REMOVED)
    blocks = list(labels.blocks(2048))
    assert [block.start for block in blocks[1:]] == [block.stop for block in blocks[:-1]]
    assert (len(blocks) > 10, blocks[0].start, blocks[-1].stop) == (True, 0, 40)
    assert_same(rank_embeddings(**case, metric="cosine"), expected)
    distances = np.random.default_rng(0).random((40, 300))
    assert_equals_oracle(rank_distances(distances, **labels_of(case)), oracle(distances, **labels_of(case)))


def test_unknown_average_precisions_are_an_error():
    case = random_case(np.random.default_rng(13))
    with pytest.raises(ValueError, match="standard or trapezoid, got 'exact'"):
        rank_embeddings(**case, metric="cosine", average_precision="exact")


def test_distances_that_float64_does_not_hold_are_refused_and_all_others_compared_as_they_stand():
    ids = {"query_ids": [1], "gallery_ids": [2, 1], "query_cameras": [1], "gallery_cameras": [2, 2]}
    for base, kind in ((2**40, np.int64), (2**52, np.uint64), (2**20, np.longdouble)):
        distances = np.array([[1, 0]], dtype=kind) + kind(base)
        assert rank_distances(distances, **ids).first_match.tolist() == [1]
    for base, kind in ((2**60, np.int64), (2**63, np.uint64), (2**60, np.longdouble)):
        with pytest.raises(ValueError, match=r"distances: 1 rows hold .* numbers that float64 does not hold"):
            rank_distances(np.array([[1, 0]], dtype=kind) + kind(base), **ids)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera_rule": "none"}, "camera_rule: expected SAME_CAMERA_REMOVED, ALL_SEEN or .*, got 'none'"),
        ({"camera_rule": None}, "camera_rule: expected .*, got None"),
        ({"own_rows": ["a"]}, "own_rows: expected whole numbers, the rows of the gallery, got texts"),
        ({"own_rows": [2]}, "own_rows: 1 rows are no gallery rows: expected -1 to 1"),
        ({"own_rows": [0, 0]}, r"own_rows: expected whole numbers or texts \[1\]"),
        ({"block_size": 1.5}, "block_size: expected a whole number from 1, got 1.5"),
        ({"query_ids": [np.nan]}, "query_ids: 1 rows hold NaN"),
        ({"query_cameras": None}, "query_cameras: expected whole numbers or texts"),
        ({"query": np.ones((1, 2), complex)}, "query: expected numbers .* got complex128"),
        ({"query": np.ma.masked_array([[1.0, 2.0]], [[True, False]])}, "query: expected numbers .* got a masked array"),
    ],
)
def test_an_argument_that_cannot_be_taken_is_named(change, message):
    given = {"query": [[1.0, 2.0]], "gallery": [[1.0, 2.0], [2.0, 1.0]], "query_ids": [1], "gallery_ids": [1, 2]}
    given |= {"query_cameras": [1], "gallery_cameras": [2, 2], "metric": "cosine"}
    assert rank_embeddings(**given).first_match.tolist() == [1]
    with pytest.raises(ValueError, match=message):
        rank_embeddings(**given | change)
