import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation import verification
from pipeline.evaluation.labels import ALL_SEEN, SAME_CAMERA_REMOVED, Labels
from pipeline.evaluation.protocols import SYSU_RULE
from pipeline.evaluation.verification import verify_embeddings

RATES = (1e-3, 1e-2, 0.1, 0.5)


def random_case(rng, num_query=40, num_gallery=300, columns=24, values=None):
    def features(count):
        drawn = rng.integers(-values, values + 1, (count, columns)) if values else rng.standard_normal((count, columns))
        return drawn.astype(np.float32)

    return {
        "query": features(num_query),
        "gallery": features(num_gallery),
        "query_ids": rng.integers(1, 9, num_query),
        "gallery_ids": rng.integers(0, 9, num_gallery),
        "query_cameras": rng.integers(1, 5, num_query),
        "gallery_cameras": rng.integers(1, 5, num_gallery),
    }


def oracle(case, rule, rates):
    """Every pair that is seen, in one list."""
    distances = np.square(case["query"][:, None].astype(np.float64) - case["gallery"]).sum(axis=2)
    is_same = case["query_ids"][:, None] == case["gallery_ids"]
    cameras = case["query_cameras"][:, None], case["gallery_cameras"]
    is_seen = ~(is_same & (cameras[0] == cameras[1]) & rule.removes_same_camera)
    for query_camera, gallery_camera in rule.unseen:
        is_seen &= ~((cameras[0] == query_camera) & (cameras[1] == gallery_camera))
    right, wrong = distances[is_seen & is_same], np.sort(distances[is_seen & ~is_same])
    return {rate: np.mean(right < wrong[int(np.floor(rate * len(wrong) + 1e-9))]) for rate in rates}


@pytest.mark.parametrize("rule", [SAME_CAMERA_REMOVED, ALL_SEEN, SYSU_RULE])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), values=st.sampled_from([1, 3, None]), block_size=st.sampled_from([7, 64, 2048]))
def test_rates_are_those_of_all_pairs_in_one_list(rule, seed, values, block_size):
    case = random_case(np.random.default_rng(seed), 12, 50, columns=4, values=values)
    found = verify_embeddings(
        **case, metric="euclidean", false_positive_rates=RATES, camera_rule=rule, block_size=block_size
    )
    assert found == pytest.approx(oracle(case, rule, RATES), abs=1e-12)


@pytest.mark.parametrize("values", [1, 2, None])
def test_dropping_pairs_on_the_way_changes_nothing(monkeypatch, values):
    case = random_case(np.random.default_rng(0), values=values)
    expected = oracle(case, ALL_SEEN, RATES[:3])
    monkeypatch.setattr(verification, "SPARE", 10)
    for block_size in (16, 40):
        found = verify_embeddings(
            **case, metric="euclidean", false_positive_rates=RATES[:3], camera_rule=ALL_SEEN, block_size=block_size
        )
        assert found == pytest.approx(expected, abs=1e-12)


def test_neither_gallery_order_nor_block_size_nor_threads_move_a_bit():
    rng = np.random.default_rng(1)
    case = random_case(rng)
    case["gallery"] = case["gallery"][rng.integers(0, 30, 300)]
    given_rates = {"metric": "cosine", "false_positive_rates": RATES}
    expected = verify_embeddings(**case, **given_rates)
    threads = torch.get_num_threads()
    for block_size in (9, 100):
        order = rng.permutation(300)
        moved = case | {name: case[name][order] for name in ("gallery", "gallery_ids", "gallery_cameras")}
        torch.set_num_threads(1 + block_size % 2)
        try:
            assert verify_embeddings(**moved, **given_rates, block_size=block_size) == expected
        finally:
            torch.set_num_threads(threads)


def test_ties_are_pessimistic():
    case = random_case(np.random.default_rng(2))
    case["query"][:], case["gallery"][:] = 1, 1
    rates = verify_embeddings(**case, metric="cosine", false_positive_rates=(0, 0.5))
    assert rates == {0: 0.0, 0.5: 0.0}


def test_far_apart_persons_are_all_told_apart():
    case = random_case(np.random.default_rng(3))
    for side in ("query", "gallery"):
        case[side] += 1000 * np.eye(24, dtype=np.float32)[case[f"{side}_ids"]]
    assert verify_embeddings(**case, metric="cosine", false_positive_rates=(1e-4,)) == {1e-4: 1.0}


def test_rates_are_rounded_down_as_written():
    found = verify_embeddings(
        np.zeros((1, 1), dtype=np.float32),
        np.array([29.5, *range(1, 101)], dtype=np.float32)[:, None],
        query_ids=[1],
        gallery_ids=[1] + [2] * 100,
        query_cameras=[1],
        gallery_cameras=[2] * 101,
        metric="euclidean",
        false_positive_rates=(0.28, 0.29),
    )
    assert found == {0.28: 0.0, 0.29: 1.0}  # though 0.29 * 100 is below 29 in binary


def test_all_up_to_the_cutoff_is_collected():
    rng = np.random.default_rng(5)
    tile = torch.from_numpy(rng.standard_normal((30, 200), dtype=np.float32))
    tile[3, 4:9] = float(verification.REMOVED)
    for cutoff in (-0.5, verification.BELOW_REMOVED):
        values, rows, columns = verification._collect(tile, cutoff)
        expected = torch.nonzero(tile <= cutoff)
        np.testing.assert_array_equal(np.stack([rows, columns], axis=1), expected.numpy())
        np.testing.assert_array_equal(values, tile[rows, columns].numpy())


def test_what_has_no_rate_is_an_error():
    case = random_case(np.random.default_rng(6))
    with pytest.raises(ValueError, match=r"shares in \[0, 1\), got \[1.0, -0.1\]"):
        verify_embeddings(**case, metric="cosine", false_positive_rates=(1.0, -0.1))
    case["query_ids"][:], case["gallery_ids"][:] = 1, 1
    with pytest.raises(ValueError, match="no wrong pair"):
        verify_embeddings(**case, metric="cosine", false_positive_rates=(0.01,))


def test_wrong_pairs_are_counted_without_those_not_seen():
    labels = Labels([1, 1], [1, 2, 2, 0], [3, 6], [1, 2, 1, 2], SYSU_RULE)
    assert labels.num_wrong.tolist() == [1, 3]
