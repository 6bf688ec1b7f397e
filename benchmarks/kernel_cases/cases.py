"""All rows of the table: each prepares its inputs, and returns ours and its floor, ready to be timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from kernel_cases.measuring import Case, Pair, Target
from kernel_cases.references import product, rank_by_sorting
from kernel_cases.synthetic_embeddings import embeddings, retrieval_set, training_set
from pipeline.clustering.dbscan import dbscan
from pipeline.evaluation.labels import ALL_SEEN, SAME_CAMERA_REMOVED, CameraRule, Labels
from pipeline.evaluation.protocols import SYSU_RULE
from pipeline.evaluation.ranking import rank_by, rank_distances, rank_embeddings
from pipeline.evaluation.reranking import rerank
from pipeline.neighbors.jaccard import jaccard_distance
from pipeline.neighbors.nearest import find_nearest

JACCARD: dict[str, Any] = {"k1": 30, "k2": 6, "metric": "cosine"}
RERANKING: dict[str, Any] = {"k1": 20, "k2": 6, "weight": 0.3, "metric": "cosine", "convention": "zhong"}
FLOOR_ROWS = 4 * 2048  # of a product that would take minutes: all of its blocks take the same time
MARKET, MSMT17 = (3368, 19732, 750), (11659, 82161, 3060)  # queries, gallery images, identities


def from_distances(
    device: str, *, queries: int, gallery: int, identities: int, trials: int, rule: CameraRule, with_identities: bool
) -> Pair:
    rng = np.random.default_rng(2)
    people, labels = retrieval_set(queries, gallery, identities)
    distances = rng.random((queries, gallery), dtype=np.float32)
    distances[people[:queries, None] == people[queries:]] *= 0.3
    given: dict[str, Any] = {"camera_rule": rule, "with_identities": with_identities}

    def ours() -> None:
        for _ in range(trials):
            rank_distances(distances, **labels, **given)

    def reference() -> None:
        for _ in range(trials):
            rank_by_sorting(distances, **labels, **given)

    return Pair(ours, reference)


def from_features(device: str, *, queries: int, gallery: int, identities: int, is_trained: bool) -> Pair:
    people, labels = retrieval_set(queries, gallery, identities)
    rows = embeddings(people, is_trained)
    on_device = torch.from_numpy(rows).to(device)

    def ours() -> None:
        rank_embeddings(rows[:queries], rows[queries:], **labels, metric="cosine", device=device)

    return Pair(ours, lambda: product(on_device[:queries], on_device[queries:]))


def reranking(device: str, *, queries: int, gallery: int, identities: int, is_beside_search: bool) -> Pair:
    people, labels = retrieval_set(queries, gallery, identities)
    rows = embeddings(people)

    def ours() -> None:
        reranked = rerank(rows[:queries], rows[queries:], **RERANKING, device=device)
        checked = Labels(**labels, rule=SAME_CAMERA_REMOVED)
        rank_by(reranked, checked, average_precision="standard", with_identities=False)

    def search() -> None:
        find_nearest(rows, RERANKING["k1"] + 1, metric="cosine", farthest=True, device=device)

    return Pair(ours, search) if is_beside_search else beside_product(ours, rows, device)


def jaccard(device: str, *, images: int, identities: int) -> Pair:
    rows = training_set(images, identities)

    def ours() -> None:
        jaccard_distance(rows, **JACCARD, convention="cluster_contrast", device=device)

    return Pair(ours, lambda: find_nearest(rows, JACCARD["k1"], metric="cosine", device=device))


def growth(device: str, *, images: int, identities: int) -> Pair:
    rows = training_set(images, identities)

    def ours() -> None:
        jaccard_distance(rows, **JACCARD, convention="cluster_contrast", device=device)

    return beside_product(ours, rows, device)


def beside_product(ours: Callable[[], Any], rows: np.ndarray, device: str) -> Pair:
    """Returns ours beside the product of all rows with all, of which a few blocks are timed."""
    on_device = torch.from_numpy(rows).to(device)
    part = on_device[:FLOOR_ROWS]
    return Pair(ours, lambda: product(part, on_device), share=len(part) / len(rows))


def clustering(device: str, *, images: int, identities: int) -> Pair:
    from sklearn.cluster import DBSCAN

    rows = training_set(images, identities)
    distances = jaccard_distance(rows, **JACCARD, convention="cluster_contrast", device=device)
    theirs = DBSCAN(eps=0.5, min_samples=4, metric="precomputed")
    return Pair(lambda: dbscan(distances, eps=0.5, min_samples=4), lambda: theirs.fit(distances.to_scipy()))


def cases() -> list[Case]:
    """Returns all rows; sizes are those of the data sets' tests and training sets."""
    market, msmt17 = (dict(zip(("queries", "gallery", "identities"), size, strict=True)) for size in (MARKET, MSMT17))
    sysu = {"queries": 3803, "gallery": 301, "identities": 96}
    regdb = {"queries": 2060, "gallery": 2060, "identities": 206}
    once = {"trials": 1, "rule": SAME_CAMERA_REMOVED, "with_identities": False}
    sysu_trials = {"trials": 10, "rule": SYSU_RULE, "with_identities": True}
    regdb_trials = {"trials": 10, "rule": ALL_SEEN, "with_identities": False}
    trained, untrained = {"is_trained": True}, {"is_trained": False}
    sorting, search = "sorting in numpy", "neighbour search"
    rows = [
        Case("market-distances", Target(sorting, ratio=0.01), from_distances, market, once),
        Case("market", Target("torch.mm", ratio=1.4), from_features, market, trained),
        Case("market-untrained", Target("torch.mm", ratio=1.4), from_features, market, untrained),
        Case("sysu-10-trials", Target(sorting, ratio=1 / 30), from_distances, sysu, sysu_trials),
        Case("regdb-10-trials", Target(sorting, ratio=1 / 30), from_distances, regdb, regdb_trials),
    ]
    for images, identities in ((12936, 751), (32621, 1041)):
        size, within = {"images": images, "identities": identities}, Target(search, ratio=1.3, gib=0.3)
        rows.append(Case(f"jaccard-{images}", within, jaccard, size, {}))
        rows.append(Case(f"dbscan-{images}", Target("scikit-learn", seconds=0.1), clustering, size, {}))
    rows += [
        Case("reranking-market", Target(search, ratio=1.5, gib=1.0), reranking, market, {"is_beside_search": True}),
        Case("msmt17", Target("torch.mm", ratio=1.4, gib=1.0), from_features, msmt17, trained),
        Case("reranking-msmt17", Target("torch.mm", gib=4.0), reranking, msmt17, {"is_beside_search": False}),
    ]
    for images in (6250, 12500, 25000, 50000, 100000):
        size, within = {"images": images, "identities": images // 17}, Target("torch.mm", ratio=1.0)
        rows.append(Case(f"growth-{images}", within, growth, size, {}))
    return rows
