import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.methods.mskd.batches import cluster_batches, describe_clusters


def batches(labels, cameras, *, groups=1, identities=2, images=4, steps=20, seed=0, epoch=0):
    labels = np.asarray(labels)
    return np.stack(
        list(
            cluster_batches(
                labels,
                None if cameras is None else np.asarray(cameras),
                groups=groups, identities=identities, images=images, steps=steps, seed=seed, epoch=epoch,
            )
        )
    )  # fmt: skip


@st.composite
def samplings(draw: st.DrawFn) -> dict:
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    noise = np.full(draw(st.integers(0, 5)), -1)
    generator = np.random.default_rng(draw(st.integers(0, 9)))
    labels = generator.permutation(np.concatenate([np.repeat(np.arange(len(sizes)), sizes), noise]))
    return {
        "labels": labels,
        "cameras": generator.integers(draw(st.integers(1, 4)), size=labels.size) if draw(st.booleans()) else None,
        "groups": draw(st.integers(1, 3)),
        "identities": draw(st.integers(1, 6)),
        "images": draw(st.integers(1, 5)),
        "steps": draw(st.integers(1, 6)),
        "seed": draw(st.integers(0, 3)),
        "epoch": draw(st.integers(0, 3)),
    }


@given(samplings())
@settings(max_examples=60, deadline=None)
def test_every_batch_has_one_shape_and_noise_images_never_enter_it(sampling: dict) -> None:
    drawn = batches(**sampling)
    assert drawn.dtype == np.int64
    assert drawn.shape == (sampling["steps"], sampling["groups"], sampling["identities"] * sampling["images"])
    of_image = sampling["labels"][drawn].reshape(-1, sampling["images"])
    assert (of_image >= 0).all()
    assert (of_image == of_image[:, :1]).all()


@given(samplings())
@settings(max_examples=60, deadline=None)
def test_a_batch_takes_its_clusters_as_evenly_as_it_can(sampling: dict) -> None:
    num_clusters = sampling["labels"].max() + 1
    at_once = sampling["groups"] * sampling["identities"]
    for batch in batches(**sampling):
        clusters = sampling["labels"][batch.reshape(at_once, -1)[:, 0]]
        times = np.bincount(clusters, minlength=num_clusters)
        assert times.max() - times.min() <= 1


@given(samplings())
@settings(max_examples=60, deadline=None)
def test_the_first_image_is_joined_from_other_cameras_where_there_are_any(sampling: dict) -> None:
    labels, cameras, images = sampling["labels"], sampling["cameras"], sampling["images"]
    cameras = np.zeros_like(labels) if cameras is None else cameras
    for first, *rest in batches(**sampling).reshape(-1, images).tolist():
        members = np.flatnonzero(labels == labels[first])
        elsewhere = members[cameras[members] != cameras[first]]
        pool = elsewhere if elsewhere.size else members[members != first]
        if pool.size == 0:
            assert rest == [first] * (images - 1)
        else:
            assert set(rest) <= set(pool.tolist())
        if pool.size >= images:
            assert len(set(rest)) == images - 1


def test_too_few_images_elsewhere_are_drawn_with_replacement_each_alike() -> None:
    drawn = batches([0, 0, 0, 0, 0], [1, 1, 2, 2, 2], identities=1, images=4, steps=3000).reshape(-1, 4)
    from_first = drawn[drawn[:, 0] == 0]
    assert 0.16 < len(from_first) / 3000 < 0.24
    shares = np.bincount(from_first[:, 1:].ravel(), minlength=5) / from_first[:, 1:].size
    np.testing.assert_allclose(shares, [0, 0, 1 / 3, 1 / 3, 1 / 3], atol=0.05)
    assert any(len(set(row)) < 3 for row in from_first[:, 1:].tolist())
    assert any(len(set(row)) == 3 for row in from_first[:, 1:].tolist())


def test_blind_to_cameras_any_other_image_of_the_cluster_may_join() -> None:
    labels, cameras = np.zeros(8, dtype=int), np.array([0] * 7 + [1])
    seeing, blind = (batches(labels, seen, identities=1, images=2) for seen in (cameras, None))
    assert all(cameras[rows].sum() == 1 for rows in seeing[:, 0])
    assert any(cameras[rows].sum() == 0 for rows in blind[:, 0])
    assert all(len(set(rows.tolist())) == 2 for rows in blind[:, 0])


def test_a_pass_shows_every_cluster_once_and_drops_an_incomplete_batch() -> None:
    labels = np.repeat(np.arange(7), 4)
    clusters = labels[batches(labels, None, identities=2, images=2, steps=6)[:, 0, ::2]]
    for one_pass in clusters.reshape(2, 6):
        assert len(set(one_pass.tolist())) == 6


def test_all_groups_of_a_step_have_different_clusters() -> None:
    labels = np.repeat(np.arange(9), 4)
    for step in batches(labels, None, groups=4, identities=2, images=4):
        assert np.unique(labels[step]).size == 8


def test_how_a_batch_is_cut_into_groups_does_not_change_it() -> None:
    labels, cameras = np.repeat(np.arange(9), 6), np.tile(np.arange(3), 18)
    one, four = (batches(labels, cameras, groups=groups, identities=8 // groups) for groups in (1, 4))
    np.testing.assert_array_equal(one.reshape(four.shape), four)


def test_order_depends_on_seed_and_epoch_and_on_nothing_else() -> None:
    labels, cameras = np.repeat(np.arange(8), 6), np.tile(np.arange(3), 16)
    first = batches(labels, cameras, seed=1, epoch=4)
    np.random.default_rng().random()
    np.testing.assert_array_equal(first, batches(labels, cameras, seed=1, epoch=4))
    assert (first != batches(labels, cameras, seed=1, epoch=5)).any()
    assert (first != batches(labels, cameras, seed=2, epoch=4)).any()


def test_no_cluster_is_an_error_before_the_first_batch() -> None:
    with pytest.raises(ValueError, match=r"no cluster among 3 images.*raise the clustering's eps"):
        cluster_batches(np.array([-1, -1, -1]), None, groups=1, identities=2, images=2, steps=1, seed=0, epoch=0)


def test_one_giant_cluster_fills_the_whole_batch() -> None:
    drawn = batches(np.zeros(50, dtype=int), None, groups=2, identities=4, images=4, steps=1)
    assert drawn.shape == (1, 2, 16)
    assert np.unique(drawn).size > 16


def test_the_report_names_noise_and_what_is_repeated() -> None:
    labels = np.array([0, 0, 0, 1, 1, -1, -1])
    assert describe_clusters(labels, groups=1, identities=2, images=2) == "2 clusters, 2 of 7 images are noise"
    line = describe_clusters(labels, groups=2, identities=2, images=3)
    assert "1 clusters have fewer than 3 images and repeat theirs" in line
    assert "a batch wants 4 clusters and repeats some" in line
