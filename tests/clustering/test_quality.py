import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from pipeline.clustering.quality import camera_entropy, measure_churn, measure_quality

AGREEMENT = {"ari", "nmi", "bcubed_precision", "bcubed_recall", "bcubed_f", "pair_precision", "purity"}


def columns(draw_from, count=2):
    return st.integers(1, 25).flatmap(lambda n: st.tuples(*[st.lists(draw_from, min_size=n, max_size=n)] * count))


@settings(max_examples=100, deadline=None)
@given(columns(st.integers(-1, 4)))
def test_bcubed_is_its_definition_over_all_pairs_of_images(pair):
    labels, identities = map(np.array, pair)
    itself = np.eye(len(labels), dtype=bool)
    together = itself | ((labels[:, None] == labels) & (labels != -1))
    alike = identities[:, None] == identities
    precision = np.mean((together & alike).sum(axis=1) / together.sum(axis=1))
    recall = np.mean((together & alike).sum(axis=1) / alike.sum(axis=1))
    measures = measure_quality(labels, identities=identities)
    assert measures["bcubed_precision"] == pytest.approx(precision)
    assert measures["bcubed_recall"] == pytest.approx(recall)
    assert measures["bcubed_f"] == pytest.approx(2 / (1 / precision + 1 / recall))


@settings(max_examples=100, deadline=None)
@given(columns(st.integers(-1, 4)))
def test_noise_images_are_clusters_of_their_own(pair):
    labels, identities = map(np.array, pair)
    alone = np.where(labels == -1, 100 + np.arange(len(labels)), labels)
    measures = measure_quality(labels, identities=identities)
    assert measures["ari"] == pytest.approx(adjusted_rand_score(identities, alone))
    assert measures["nmi"] == pytest.approx(normalized_mutual_info_score(identities, alone))
    largest = [np.unique(identities[alone == label], return_counts=True)[1].max() for label in np.unique(alone)]
    assert measures["purity"] == pytest.approx(sum(largest) / len(labels))
    pairs = [(a, b) for a in range(len(labels)) for b in range(a) if alone[a] == alone[b]]
    right = sum(identities[a] == identities[b] for a, b in pairs)
    assert measures["pair_precision"] == pytest.approx(right / len(pairs) if pairs else 1)


def test_true_clusters_are_perfect_under_any_number():
    identities = np.repeat([7, 3, 9], 4)
    measures = measure_quality(np.repeat([2, 0, 1], 4), identities=identities)
    assert {measures[name] for name in AGREEMENT} == {1.0}
    assert (measures["num_clusters"], measures["noise"]) == (3, 0)


def test_one_cluster_of_everything_has_all_recall_and_no_agreement():
    measures = measure_quality(np.zeros(12), identities=np.repeat([1, 2, 3], 4))
    assert measures["bcubed_recall"] == 1
    assert measures["bcubed_precision"] == measures["purity"] == pytest.approx(1 / 3)
    assert measures["ari"] == measures["nmi"] == 0


def test_all_noise_has_all_precision_and_no_agreement():
    measures = measure_quality(np.full(12, -1), identities=np.repeat([1, 2, 3], 4), cameras=np.arange(12) % 2)
    assert (measures["num_clusters"], measures["noise"], measures["camera_entropy"]) == (0, 1, 0)
    assert measures["bcubed_precision"] == measures["purity"] == 1
    assert measures["bcubed_recall"] == pytest.approx(1 / 4)
    assert measures["ari"] == 0


def test_what_is_not_known_is_not_measured():
    labels = [0, 0, 1, -1]
    assert measure_quality(labels) == {"num_clusters": 2, "noise": 0.25}
    assert set(measure_quality(labels, identities=list("aabb"))) == {"num_clusters", "noise"} | AGREEMENT
    assert set(measure_quality(labels, cameras=[1, 2, 3, 4])) == {"num_clusters", "noise", "camera_entropy"}
    assert set(measure_quality(labels, before=labels)) == {"num_clusters", "noise", "churn"}


def test_camera_entropy_is_0_for_clusters_of_one_camera_and_1_for_even_ones():
    assert camera_entropy([0, 0, 1, 1], cameras=[5, 5, 2, 2]) == 0
    assert camera_entropy([0, 0, 1, 1], cameras=[5, 2, 5, 2]) == pytest.approx(1)
    assert camera_entropy([0, 0, 0, 0], cameras=[3, 3, 3, 3]) == 0


def test_camera_entropy_weighs_clusters_by_size_and_leaves_noise_out():
    labels = [0, 0, 0, 0, 1, 1, -1, -1]
    cameras = [1, 1, 2, 2, 1, 1, 3, 4]
    assert camera_entropy(labels, cameras) == pytest.approx(4 / 6 * np.log(2) / np.log(4))


@settings(max_examples=100, deadline=None)
@given(columns(st.integers(-1, 5)))
def test_churn_matches_clusters_so_that_most_images_stay(pair):
    labels, before = map(np.array, pair)
    overlap = np.array([[np.sum((labels == new) & (before == old)) for old in range(6)] for new in range(6)])
    stay = overlap[linear_sum_assignment(overlap, maximize=True)].sum() + np.sum((labels == -1) & (before == -1))
    churn = measure_churn(labels, before)
    assert churn == pytest.approx(1 - stay / len(labels))
    assert churn == measure_churn(before, labels)


def test_churn_does_not_see_numbers_of_clusters():
    assert measure_churn([0, 0, 1, 1, -1], before=[7, 7, 3, 3, -1]) == 0


def test_churn_counts_coming_from_and_going_to_noise():
    assert measure_churn([0, 0, 0, -1], before=[0, 0, -1, 0]) == 0.5
    assert measure_churn([0, 0, 0, 0], before=[-1] * 4) == 1


def test_a_cluster_that_splits_keeps_its_larger_half():
    assert measure_churn([0, 0, 0, 1, 1], before=[4] * 5) == pytest.approx(2 / 5)


def test_columns_of_different_lengths_are_an_error():
    with pytest.raises(ValueError, match=r"identities: expected .*\[3\].* got int64 \[2\]"):
        measure_quality([0, 1, 1], identities=[1, 2])
    with pytest.raises(ValueError, match=r"labels: .* got float64 \[0\]"):
        measure_quality([])
    with pytest.raises(ValueError, match="before"):
        measure_churn([0, 1], before=[[0, 1]])
