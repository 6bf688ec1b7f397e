import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batches.samplers import describe_identities, identity_batches, num_steps


def batches(labels: np.ndarray, groups: int, identities: int, images: int, seed: int = 0, epoch: int = 0) -> np.ndarray:
    return np.stack(
        list(identity_batches(labels, groups=groups, identities=identities, images=images, seed=seed, epoch=epoch))
    )


@st.composite
def samplings(draw: st.DrawFn) -> dict:
    sizes = draw(st.lists(st.integers(1, 9), min_size=2, max_size=12))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    unlabelled = np.full(draw(st.integers(0, 5)), -1)
    labels = np.random.default_rng(draw(st.integers(0, 9))).permutation(np.concatenate([labels, unlabelled]))
    return {
        "labels": labels,
        "groups": draw(st.integers(1, 3)),
        "identities": draw(st.integers(1, len(sizes))),
        "images": draw(st.integers(1, 5)),
        "seed": draw(st.integers(0, 3)),
        "epoch": draw(st.integers(0, 3)),
    }


@given(samplings())
@settings(deadline=None)
def test_every_group_holds_p_identities_of_k_images(sampling: dict) -> None:
    labels, identities, images = sampling["labels"], sampling["identities"], sampling["images"]
    drawn = batches(**sampling)
    assert drawn.dtype == np.int64
    assert drawn.shape[1:] == (sampling["groups"], identities * images)
    for group in drawn.reshape(-1, identities, images):
        of_group = labels[group]
        assert (of_group == of_group[:, :1]).all()
        assert np.unique(of_group[:, 0]).size == identities
        assert (of_group >= 0).all()


@given(samplings())
@settings(deadline=None)
def test_images_repeat_in_a_group_only_where_there_are_too_few_and_then_evenly(sampling: dict) -> None:
    labels, images = sampling["labels"], sampling["images"]
    for rows in batches(**sampling).reshape(-1, images):
        there = (labels == labels[rows[0]]).sum()
        times = np.unique(rows, return_counts=True)[1]
        assert times.size == min(images, there)
        assert times.max() - times.min() <= 1


@given(samplings())
@settings(deadline=None)
def test_an_epoch_has_as_many_steps_as_full_global_batches(sampling: dict) -> None:
    labelled = int((sampling["labels"] >= 0).sum())
    global_batch = sampling["groups"] * sampling["identities"] * sampling["images"]
    assert len(batches(**sampling)) == max(1, labelled // global_batch) == num_steps(sampling["labels"], global_batch)


def test_a_pass_shows_every_image_once_before_any_again() -> None:
    labels = np.repeat(np.arange(6), 8)
    drawn = batches(labels, groups=1, identities=6, images=4)
    assert sorted(drawn.flatten()) == list(range(48))


def test_order_depends_on_seed_and_epoch_and_on_nothing_else() -> None:
    labels = np.repeat(np.arange(8), 6)
    first = batches(labels, 2, 3, 2, seed=1, epoch=4)
    np.random.default_rng().random()
    np.testing.assert_array_equal(first, batches(labels, 2, 3, 2, seed=1, epoch=4))
    assert (first != batches(labels, 2, 3, 2, seed=1, epoch=5)).any()
    assert (first != batches(labels, 2, 3, 2, seed=2, epoch=4)).any()


def test_how_steps_are_cut_into_groups_does_not_change_the_groups() -> None:
    labels = np.repeat(np.arange(10), 8)
    one, four = batches(labels, 1, 4, 2), batches(labels, 4, 4, 2)
    np.testing.assert_array_equal(one[:8].reshape(-1, 8), four.reshape(-1, 8)[:8])


def test_groups_of_one_step_may_share_an_identity() -> None:
    labels = np.repeat(np.arange(3), 8)
    step = labels[batches(labels, groups=2, identities=2, images=2)[0]]
    assert set(step[0]) & set(step[1])


def test_too_few_identities_is_an_error_before_the_first_batch() -> None:
    with pytest.raises(ValueError, match="needs 4 identities, but only 2 are labelled"):
        identity_batches(np.array([0, 0, 1, -1]), groups=1, identities=4, images=2, seed=0, epoch=0)


def test_report_says_how_many_identities_repeat_their_images() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, -1])
    assert "2 identities have fewer than 3 images" in describe_identities(labels, identities=2, images=3)
    assert "fewer" not in describe_identities(labels, identities=2, images=1)
