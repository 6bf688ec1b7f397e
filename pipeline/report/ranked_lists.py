"""Queries that were answered well, as usual and wrongly, with the gallery images nearest to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.evaluation.labels import Labels
from pipeline.evaluation.protocols import MARKET, NO_CAMERAS, Search, Trial, llcm, regdb, sysu_mm01, trials_of
from pipeline.evaluation.ranking import make_space, rank_by
from pipeline.evaluation.stamp import Protocol

QUERIES_AT_MOST = 400
LENGTH = 10
QUANTILES: Mapping[str, tuple[float, ...]] = {"good": (0.95, 0.85), "typical": (0.55, 0.45), "failed": (0.1, 0.0)}
"""Which queries are shown: by their place among all, or among the failed ones, sorted by average precision."""


@dataclass(frozen=True)
class Answer:
    """A gallery image: its row of the table, and whether it shows the person looked for."""

    row: int
    is_right: bool


@dataclass(frozen=True)
class RankedList:
    """A query (a row of the table), its score, the place of the first right answer, and the nearest answers."""

    kind: str
    query: int
    average_precision: float
    first_match: int
    num_matches: int
    answers: list[Answer]


def search_of(kind: str, protocol: Protocol) -> Search:
    """Returns the search that a result's ``protocol`` names, with the first of its galleries.

    ``kind`` is the protocol of the prepared data; a gallery of the makers' own is replaced by a drawn one.
    """
    match kind:
        case "sysu_mm01":
            return sysu_mm01(
                protocol.search, shots=10 if protocol.shots == "multi-shot" else 1, draws="seeded", trials=1
            )
        case "regdb":
            return regdb(protocol.search)
        case "llcm":
            return llcm(protocol.search, trials=1)
    return NO_CAMERAS if kind == "no_cameras" else MARKET


def some_queries(search: Search, table: pd.DataFrame) -> Trial:
    """Returns the first trial of a search, with at most ``QUERIES_AT_MOST`` of its queries, evenly spaced."""
    trial = next(trials_of(search, table))
    every = -(-len(trial.query) // QUERIES_AT_MOST)
    query, persons, cameras = trial.query[::every], table["person_id"].to_numpy(), table["camera_id"].to_numpy()
    own_rows = np.full(len(table), -1)
    own_rows[trial.gallery] = np.arange(len(trial.gallery))
    sides = persons[query], persons[trial.gallery], cameras[query], cameras[trial.gallery]
    return Trial(query, trial.gallery, Labels(*sides, search.camera_rule, own_rows[query]))


def scores(trial: Trial, embeddings: np.ndarray, distance: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns of each query its average precision, NaN without a match, and whether its first answer is right."""
    distances = make_space(embeddings[trial.query], embeddings[trial.gallery], distance, "cpu")
    ranking = rank_by(distances, trial.labels, average_precision="standard", with_identities=False)
    return ranking.average_precision, ranking.first_match == 1


def choose(precisions: np.ndarray, is_found: np.ndarray) -> list[tuple[str, int]]:
    """Returns kind and number of the queries to show.

    ``precisions`` ``[Q]`` with NaN for queries without a match; ``is_found``: whether the first answer is right. Good
    and typical ones are chosen among all, failed ones among those whose first answer is wrong.
    """
    order = np.argsort(precisions, kind="stable")
    order = order[: np.count_nonzero(~np.isnan(precisions))]
    chosen: list[tuple[str, int]] = []
    for kind, quantiles in QUANTILES.items():
        among = order[~is_found[order]] if kind == "failed" else order
        for quantile in quantiles:
            number = int(among[round(quantile * (len(among) - 1))]) if len(among) else -1
            if number >= 0 and number not in (other for _, other in chosen):
                chosen.append((kind, number))
    return chosen


def ranked_list(kind: str, trial: Trial, number: int, embeddings: np.ndarray, distance: str) -> RankedList:
    """Returns the nearest gallery images of the query ``number`` of a trial, without those that it does not see."""
    labels = trial.labels
    same = labels.same(slice(number, number + 1))
    is_right = np.zeros(labels.num_gallery, dtype=bool)
    is_right[same.columns[same.is_match]] = True
    is_seen = labels.is_seen(np.full(labels.num_gallery, number), np.arange(labels.num_gallery))
    is_seen[same.columns[~same.is_match]] = False
    distances = distances_from(embeddings[trial.query[number]], embeddings[trial.gallery], distance)
    order = np.argsort(distances, kind="stable")
    order = order[is_seen[order]]
    places = np.flatnonzero(is_right[order])
    precision = float(np.mean(np.arange(1, len(places) + 1) / (places + 1))) if len(places) else 0.0
    answers = [Answer(int(trial.gallery[column]), bool(is_right[column])) for column in order[:LENGTH]]
    first = int(places[0]) + 1 if len(places) else 0
    return RankedList(kind, int(trial.query[number]), precision, first, len(places), answers)


def distances_from(query: np.ndarray, gallery: np.ndarray, distance: str) -> np.ndarray:
    """Returns the distances ``[G]`` of a query ``[D]``, float64: 1 less the cosine, or the squared Euclidean one."""
    query, gallery = query.astype(np.float64), gallery.astype(np.float64)
    if distance == "cosine":
        return 1 - gallery @ query / (np.linalg.norm(gallery, axis=1) * np.linalg.norm(query))
    return ((gallery - query) ** 2).sum(axis=1)
