"""How far apart images of one person are, and those of two: within and across cameras, within and across modalities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.evaluation.postprocessing import unit_rows
from pipeline.images.table import DISTRACTOR

IMAGES_AT_MOST = 2000
EDGES = np.linspace(0.0, 2.0, 81)
"""Bins of cosine distances."""


@dataclass(frozen=True)
class Pairs:
    """Distances of one kind of pairs, as shares per bin between ``EDGES``.

    ``separation``: the chance that a pair of one identity is nearer than a pair of two, ties half; 1 is perfect, 0.5
    none. ``num_same``, ``num_other``: how many pairs there are.
    """

    same: np.ndarray
    other: np.ndarray
    separation: float
    num_same: int
    num_other: int


def kinds_of_pairs(embeddings: np.ndarray, table: pd.DataFrame) -> dict[str, Pairs]:
    """Returns the cosine distances of all pairs of test images, by kind; kinds that have no pair are left out.

    Distractors take no part. Where there are more than ``IMAGES_AT_MOST`` images, every so many identities are taken.
    """
    rows = some_identities(table)
    embeddings, table = unit_rows(embeddings[rows]), table.iloc[rows]
    first, second = np.triu_indices(len(rows), k=1)
    distances = 1 - (embeddings @ embeddings.T)[first, second]
    persons, cameras = table["person_id"].to_numpy(), table["camera_id"].to_numpy()
    is_infrared = (table["modality"] == "infrared").to_numpy()
    is_same = persons[first] == persons[second]
    found = {}
    for kind, chosen in _kinds(cameras, is_infrared, first, second).items():
        same, other = distances[chosen & is_same], distances[chosen & ~is_same]
        if len(same) and len(other):
            one, two = (np.histogram(side.clip(0, 2), EDGES)[0] / len(side) for side in (same, other))
            found[kind] = Pairs(one, two, _separation(same, other), len(same), len(other))
    return found


def some_identities(table: pd.DataFrame) -> np.ndarray:
    """Returns the rows of all identities, or of every so many, without distractors."""
    persons = table["person_id"].to_numpy()
    identities = np.unique(persons[persons != DISTRACTOR])
    every = -(-np.count_nonzero(persons != DISTRACTOR) // IMAGES_AT_MOST)
    return np.flatnonzero(np.isin(persons, identities[::every]))


def _kinds(
    cameras: np.ndarray, is_infrared: np.ndarray, first: np.ndarray, second: np.ndarray
) -> Mapping[str, np.ndarray]:
    """Returns which pairs belong to each kind."""
    same_camera = cameras[first] == cameras[second]
    kinds = {"within a camera": same_camera, "across cameras": ~same_camera}
    if is_infrared.any():
        one, other = is_infrared[first], is_infrared[second]
        kinds |= {"within visible": ~one & ~other, "within infrared": one & other, "visible to infrared": one != other}
    return kinds


def _separation(same: np.ndarray, other: np.ndarray) -> float:
    """Returns the area under the ROC curve, by ranks (Mann and Whitney)."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([same, other]))[: len(same)]
    above = ranks.sum() - len(same) * (len(same) + 1) / 2
    return float(1 - above / (len(same) * len(other)))
