"""How far the embeddings of one person lie apart, within a modality and between two of them.

Both measures are ratios of cosine distances: those of the same person over those of different people. So they are not
moved by a network that draws all embeddings together.
"""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.postprocessing import unit_rows


def measure_modalities(embeddings: np.ndarray, person_ids: np.ndarray, is_infrared: np.ndarray) -> dict[str, float]:
    """Returns ``modality_spread`` and ``modality_gap`` of embeddings ``[N, D]``.

    ``modality_spread``: the distance of two images of one person in one modality, over that of two people in it; each
    person with two images or more counts once, and both modalities the same. ``modality_gap``: the distance between
    the mean directions of one person in visible and in infrared light, over that of two people; of those seen in both.
    0 is none, 1 is as between strangers.

    Nothing where fewer than two people are seen twice in each modality.

    Args:
        person_ids: whole numbers ``[N]``, one for each person.
        is_infrared: bool ``[N]``.
    """
    unit = unit_rows(embeddings).astype(np.float64)
    sums, counts = [], []
    people, place = np.unique(person_ids, return_inverse=True)
    for modality in (False, True):
        here = np.flatnonzero(is_infrared == modality)
        total = np.zeros((len(people), unit.shape[1]))
        np.add.at(total, place[here], unit[here])
        sums.append(total)
        counts.append(np.bincount(place[here], minlength=len(people)))
    if np.sum((counts[0] > 1) & (counts[1] > 1)) < 2:
        return {}
    spread = [_spread(total, count) for total, count in zip(sums, counts, strict=True)]
    seen = (counts[0] > 0) & (counts[1] > 0)
    visible, infrared = (unit_rows(total[seen]) for total in sums)
    distances = 1 - visible @ infrared.T
    same = np.diag(distances)
    others = (distances.sum() - same.sum()) / (distances.size - len(same))
    return {"modality_spread": float(np.mean(spread)), "modality_gap": float(same.mean() / others)}


def _spread(total: np.ndarray, count: np.ndarray) -> float:
    """Returns the spread in one modality, of the sum of each person's unit vectors, and their number."""
    squares = (total**2).sum(axis=1)
    several = count > 1
    pairs = count[several] * (count[several] - 1)
    same = 1 - (squares[several] - count[several]) / pairs
    all_pairs = count.sum() ** 2 - (count**2).sum()
    others = 1 - ((total.sum(axis=0) ** 2).sum() - squares.sum()) / all_pairs
    return float(same.mean() / others)
