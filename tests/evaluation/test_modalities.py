"""Measures of a person's spread within and between modalities."""

import numpy as np
import pytest

from pipeline.evaluation.modalities import measure_modalities

PEOPLE, IMAGES = 5, 4


def people(*, within=0.1, between=0.0, seed=0):
    """Embeddings of people in both modalities: noise of ``within``, and infrared moved by ``between`` per person."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(PEOPLE, 1, 16))
    moved = centres + between * rng.normal(size=centres.shape)
    both = np.stack([centres, moved]) + within * rng.normal(size=(2, PEOPLE, IMAGES, 16))
    ids = np.broadcast_to(np.arange(1, PEOPLE + 1)[None, :, None], (2, PEOPLE, IMAGES))
    infrared = np.broadcast_to(np.array([False, True])[:, None, None], ids.shape)
    return both.reshape(-1, 16).astype(np.float32), ids.ravel(), infrared.ravel()


def test_both_are_what_a_loop_over_pairs_says():
    embeddings, ids, infrared = people(within=0.4, between=0.5)
    unit = embeddings / np.linalg.norm(embeddings.astype(np.float64), axis=1, keepdims=True)
    spreads, centres = [], {}
    for side in (False, True):
        same, others = [], []
        for person in range(1, PEOPLE + 1):
            own = np.flatnonzero((ids == person) & (infrared == side))
            same.append(np.mean([1 - unit[a] @ unit[b] for a in own for b in own if a != b]))
            rest = np.flatnonzero((ids != person) & (infrared == side))
            others += [1 - unit[a] @ unit[b] for a in own for b in rest]
            total = unit[own].sum(axis=0)
            centres[person, side] = total / np.linalg.norm(total)
        spreads.append(np.mean(same) / np.mean(others))
    gaps = {(a, b): 1 - centres[a, False] @ centres[b, True] for a in set(ids) for b in set(ids)}
    gap = np.mean([gaps[a, a] for a in set(ids)]) / np.mean([gaps[a, b] for a, b in gaps if a != b])
    found = measure_modalities(embeddings, ids, infrared)
    assert found["modality_spread"] == pytest.approx(np.mean(spreads), rel=1e-5)
    assert found["modality_gap"] == pytest.approx(gap, rel=1e-5)


def test_noise_widens_the_spread_and_a_shift_between_the_modalities_the_gap():
    plain, noisy, moved = (measure_modalities(*people(**how)) for how in ({}, {"within": 0.5}, {"between": 0.5}))
    assert noisy["modality_spread"] > 3 * plain["modality_spread"]
    assert moved["modality_gap"] > 3 * plain["modality_gap"]
    assert moved["modality_spread"] == pytest.approx(plain["modality_spread"], rel=0.2)


def test_neither_is_moved_by_a_longer_vector_or_by_the_order_of_rows():
    embeddings, ids, infrared = people(within=0.3)
    order = np.random.default_rng(1).permutation(len(ids))
    found = measure_modalities((3 * embeddings)[order], ids[order], infrared[order])
    expected = measure_modalities(embeddings, ids, infrared)
    assert found == pytest.approx(expected, rel=1e-6)


def test_people_seen_once_or_in_one_modality_alone_measure_nothing():
    embeddings, ids, infrared = people()
    assert measure_modalities(embeddings, ids, np.zeros_like(infrared)) == {}
    assert measure_modalities(embeddings[::IMAGES], ids[::IMAGES], infrared[::IMAGES]) == {}
