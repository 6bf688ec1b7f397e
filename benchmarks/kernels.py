"""Ranking, neighbours, Jaccard distances, clustering and re-ranking, each beside a floor measured in the same run.

``ratio`` is our time over the floor's: one ``torch.mm`` of the same size, or what the target names. Where the target is
against the public evaluation codes, a reference of our own in plain numpy stands in for them: it sorts every gallery
and walks down every query, as they do. ``added_gib`` is the highest memory above what the inputs take, of the process
or, on a GPU, of the device. Each row runs in a process of its own, at a small size first, so that nothing is compiled
on the clock.

``--json FILE`` keeps the rows in a file, each written as soon as it is measured; ``--missing`` measures those that the
file lacks. MSMT17's size and 100,000 images take minutes each; ``--list`` names the rows and ``--only`` picks some.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from pipeline.clustering.dbscan import dbscan
from pipeline.evaluation.labels import ALL_SEEN, SAME_CAMERA_REMOVED, CameraRule, Labels
from pipeline.evaluation.protocols import SYSU_RULE
from pipeline.evaluation.ranking import rank_distances, rank_embeddings, rank_space
from pipeline.evaluation.reranking import rerank
from pipeline.neighbors.jaccard import jaccard_distance
from pipeline.neighbors.nearest import find_nearest

COLUMNS, LATENT = 2048, 64  # of an embedding, and how many of them a trained network uses
ROWS_AT_ONCE = 2048
QUICK = 40  # by how much sizes are smaller
JACCARD: dict[str, Any] = {"k1": 30, "k2": 6, "metric": "cosine"}
RERANKING: dict[str, Any] = {"k1": 20, "k2": 6, "weight": 0.3, "metric": "cosine", "convention": "zhong"}
MARKET, MSMT17 = (3368, 19732, 750), (11659, 82161, 3060)  # queries, gallery images, identities


@dataclass(frozen=True)
class Row:
    """A line of the table; ``met`` says whether ratio and memory, or seconds, are within the target."""

    work: str
    ours_s: float
    floor_s: float
    ratio: float
    added_gib: float
    target: str
    met: bool


@dataclass(frozen=True)
class Target:
    """At most ``ratio`` times the ``floor``, ``gib`` of added memory and ``seconds``."""

    floor: str
    ratio: float = math.inf
    gib: float = math.inf
    seconds: float = math.inf

    def __str__(self) -> str:
        parts = [f"<= {self.ratio:.3g} x {self.floor}" if self.ratio < math.inf else f"beside {self.floor}"]
        parts += [f"+ <= {self.gib} GiB"] if self.gib < math.inf else []
        parts += [f"<= {self.seconds} s"] if self.seconds < math.inf else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Work:
    """One row to be: ``prepare(device, **sizes, **settings)`` returns what is timed, ours and the floor."""

    name: str
    target: Target
    prepare: Callable[..., tuple[Callable[[], Any], Callable[[], Any]]]
    sizes: dict[str, int]
    settings: dict[str, Any]

    def run(self, device: str, is_quick: bool) -> Row:
        """Returns the row, measured in this process."""
        small = {name: max(8, size // QUICK) for name, size in self.sizes.items()}
        ours, floor = self.prepare(device, **small, **self.settings)
        ours(), floor()
        sizes = small if is_quick else self.sizes
        ours, floor = self.prepare(device, **sizes, **self.settings)
        ours_s, floor_s, gib = measure(ours, floor, device)
        ratio = ours_s / floor_s
        met = ratio <= self.target.ratio and gib <= self.target.gib and ours_s <= self.target.seconds
        work = f"{self.name} ({', '.join(f'{size:,} {name}' for name, size in sizes.items())})"
        return Row(work, round(ours_s, 4), round(floor_s, 4), round(ratio, 4), round(gib, 3), str(self.target), met)


def measure(ours: Callable[[], Any], floor: Callable[[], Any], device: str) -> tuple[float, float, float]:
    """Returns the seconds of the quickest run of each, and the GiB that the first of ours took at its highest.

    They take turns, three times or until ten seconds are over, so that a busy machine slows both.
    """
    gc.collect()
    with HighWater(device) as memory:
        first = timed(ours, device)
    times = [(first, timed(floor, device))]
    while len(times) < 3 and sum(map(sum, times)) < 10:
        times.append((timed(ours, device), timed(floor, device)))
    ours_s, floor_s = (min(column) for column in zip(*times, strict=True))
    return ours_s, floor_s, memory.added / 2**30


def timed(work: Callable[[], Any], device: str) -> float:
    begun = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


class HighWater:
    """Within it, looks at the memory in use every two milliseconds (of a GPU: as torch counts it)."""

    def __init__(self, device: str) -> None:
        self.device, self.added = device, 0
        self._process, self._end = psutil.Process(), threading.Event()

    def __enter__(self) -> HighWater:
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            self._before = self._process.memory_info().rss
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._end.wait(0.002):
            self.added = max(self.added, self._process.memory_info().rss - self._before)

    def __exit__(self, *_: object) -> None:
        if self.device == "cuda":
            self.added = torch.cuda.max_memory_allocated() - self._before
        else:
            self._end.set()
            self._thread.join()


def embeddings(people: np.ndarray, is_trained: bool = True) -> np.ndarray:
    """Returns float32 [N, COLUMNS] of length 1 for who is on each image.

    Those of a trained network lie around their identity, mostly along few directions: of 17 images of a person, .84 of
    the 16 nearest to each are its own. Those of an untrained one are noise, and the hardest to tell apart.
    """
    rng = np.random.default_rng(len(people))
    if is_trained:
        spectrum = np.arange(1, LATENT + 1, dtype=np.float32) ** -0.5
        centers = rng.standard_normal((people.max() + 1, LATENT), dtype=np.float32)
        spread = centers[people] + np.float32(0.6) * rng.standard_normal((len(people), LATENT), dtype=np.float32)
        rows = (spread * spectrum) @ rng.standard_normal((LATENT, COLUMNS), dtype=np.float32)
    else:
        rows = rng.standard_normal((len(people), COLUMNS), dtype=np.float32)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        piece = rows[start : start + ROWS_AT_ONCE]
        piece += 0.1 * rng.standard_normal(piece.shape, dtype=np.float32)
        piece /= np.linalg.norm(piece, axis=1, keepdims=True)
    return rows


def test_set(queries: int, gallery: int, identities: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Returns who is on each image, queries first, and labels; one gallery image in six shows a distractor."""
    rng = np.random.default_rng(1)
    people = rng.integers(1, identities + 1, queries + gallery)
    people[queries:][rng.random(gallery) < 1 / 6] += identities
    ids, cameras = np.where(people <= identities, people, 0), rng.integers(1, 7, queries + gallery)
    return people, {
        "query_ids": ids[:queries],
        "gallery_ids": ids[queries:],
        "query_cameras": cameras[:queries],
        "gallery_cameras": cameras[queries:],
    }


def product(query: torch.Tensor, gallery: torch.Tensor) -> None:
    """The floor: every number of ``query`` times ``gallery``, one block after the other into the same memory."""
    blocks = query.split(ROWS_AT_ONCE)
    buffer = torch.empty(len(blocks[0]), len(gallery), device=query.device)
    for block in blocks:
        torch.mm(block, gallery.T, out=buffer[: len(block)])


def from_distances(
    device: str, *, queries: int, gallery: int, identities: int, trials: int, rule: CameraRule, with_identities: bool
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    rng = np.random.default_rng(2)
    people, labels = test_set(queries, gallery, identities)
    distances = rng.random((queries, gallery), dtype=np.float32)
    distances[people[:queries, None] == people[queries:]] *= 0.3
    given: dict[str, Any] = {"camera_rule": rule, "with_identities": with_identities}

    def ours() -> None:
        for _ in range(trials):
            rank_distances(distances, **labels, **given)

    def reference() -> None:
        for _ in range(trials):
            rank_by_sorting(distances, **labels, **given)

    return ours, reference


def rank_by_sorting(
    distances: np.ndarray,
    *,
    query_ids: np.ndarray,
    gallery_ids: np.ndarray,
    query_cameras: np.ndarray,
    gallery_cameras: np.ndarray,
    camera_rule: CameraRule,
    with_identities: bool,
) -> tuple[float, float, np.ndarray]:
    """Returns mAP, mINP and CMC as plain numpy code finds them: it sorts all, and walks down query by query."""
    orders, precisions, penalties, firsts = np.argsort(distances, axis=1), [], [], []
    for order, identity, camera in zip(orders, query_ids, query_cameras, strict=True):
        ranked_ids, ranked_cameras = gallery_ids[order], gallery_cameras[order]
        removed = (ranked_ids == identity) & (ranked_cameras == camera) & camera_rule.removes_same_camera
        for one, other in camera_rule.unseen:
            removed |= (camera == one) & (ranked_cameras == other)
        ranked_ids = ranked_ids[~removed]
        is_match = ranked_ids == identity
        if not is_match.any():
            continue
        precision = is_match.cumsum() / np.arange(1, len(is_match) + 1)
        precisions.append(precision[is_match].mean())
        penalties.append(precision[is_match.nonzero()[0][-1]])
        if with_identities:
            ranked_ids = ranked_ids[np.sort(np.unique(ranked_ids, return_index=True)[1])]
        firsts.append((ranked_ids == identity).argmax())
    curve = np.bincount(firsts, minlength=len(gallery_ids)).cumsum() / len(firsts)
    return float(np.mean(precisions)), float(np.mean(penalties)), curve


def from_features(
    device: str, *, queries: int, gallery: int, identities: int, is_trained: bool
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    people, labels = test_set(queries, gallery, identities)
    rows = embeddings(people, is_trained)
    on_device = torch.from_numpy(rows).to(device)

    def ours() -> None:
        rank_embeddings(rows[:queries], rows[queries:], **labels, distance="cosine", device=device)

    return ours, lambda: product(on_device[:queries], on_device[queries:])


def reranking(
    device: str, *, queries: int, gallery: int, identities: int
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    people, labels = test_set(queries, gallery, identities)
    rows = embeddings(people)

    def ours() -> None:
        reranked = rerank(rows[:queries], rows[queries:], **RERANKING, device=device)
        checked = Labels(**labels, rule=SAME_CAMERA_REMOVED)
        rank_space(reranked, checked, average_precision="standard", with_identities=False)

    return ours, lambda: find_nearest(rows, RERANKING["k1"] + 1, metric="cosine", farthest=True, device=device)


def jaccard(device: str, *, images: int, is_beside_search: bool) -> tuple[Callable[[], Any], Callable[[], Any]]:
    rows = embeddings(np.random.default_rng(3).integers(0, -(-images // 17), images))
    on_device = torch.from_numpy(rows).to(device)

    def search() -> None:
        find_nearest(rows, JACCARD["k1"], metric="cosine", device=device)

    def ours() -> None:
        jaccard_distance(rows, **JACCARD, convention="cluster_contrast", device=device)

    return ours, search if is_beside_search else lambda: product(on_device, on_device)


def clustering(device: str, *, images: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    from sklearn.cluster import DBSCAN

    rows = embeddings(np.random.default_rng(3).integers(0, -(-images // 17), images))
    distances = jaccard_distance(rows, **JACCARD, convention="cluster_contrast", device=device)
    theirs = DBSCAN(eps=0.5, min_samples=4, metric="precomputed")
    return lambda: dbscan(distances, eps=0.5, min_samples=4), lambda: theirs.fit(distances.to_scipy())


def works() -> list[Work]:
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
        Work("market-distances", Target(sorting, ratio=0.01), from_distances, market, once),
        Work("market", Target("torch.mm", ratio=1.4), from_features, market, trained),
        Work("market-untrained", Target("torch.mm", ratio=1.4), from_features, market, untrained),
        Work("sysu-10-trials", Target(sorting, ratio=1 / 30), from_distances, sysu, sysu_trials),
        Work("regdb-10-trials", Target(sorting, ratio=1 / 30), from_distances, regdb, regdb_trials),
    ]
    for images in (12936, 32621):
        size, within = {"images": images}, Target(search, ratio=1.3, gib=0.3)
        rows.append(Work(f"jaccard-{images}", within, jaccard, size, {"is_beside_search": True}))
        rows.append(Work(f"dbscan-{images}", Target("scikit-learn", seconds=0.1), clustering, size, {}))
    rows += [
        Work("reranking-market", Target(search, ratio=1.5, gib=1.0), reranking, market, {}),
        Work("msmt17", Target("torch.mm", ratio=1.4, gib=1.0), from_features, msmt17, trained),
        Work("reranking-msmt17", Target(search, gib=4.0), reranking, msmt17, {}),
    ]
    for images in (6250, 12500, 25000, 50000, 100000):
        within = Target("torch.mm", ratio=1.0)
        rows.append(Work(f"growth-{images}", within, jaccard, {"images": images}, {"is_beside_search": False}))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also keep the rows in this file")
    parser.add_argument("--missing", action="store_true", help="measure only the rows that --json FILE lacks")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measure only these rows")
    parser.add_argument("--list", action="store_true", help="name the rows and measure nothing")
    parser.add_argument("--quick", action="store_true", help=f"sizes {QUICK} times smaller: to see that it runs")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where products are made")
    given = parser.parse_args()
    chosen = [work for work in works() if not given.only or work.name in given.only]
    if unknown := set(given.only or ()) - {work.name for work in chosen}:
        parser.error(f"no rows {', '.join(sorted(unknown))}; there are {', '.join(work.name for work in works())}")
    if given.list:
        print("\n".join(work.name for work in chosen))
        return
    run(chosen, given.device, given.quick, given.json, given.missing)


def run(chosen: list[Work], device: str, is_quick: bool, file: Path | None, is_resumed: bool) -> None:
    rows = json.loads(file.read_text()) if file and file.is_file() else []
    print(f"{'work':66} {'ours':>9} {'floor':>9} {'ratio':>7} {'+ GiB':>6}      target", flush=True)
    for work in chosen:
        if is_resumed and any(row["work"].split(" ")[0] == work.name for row in rows):
            continue
        row = work.run(device, is_quick) if is_quick else in_own_process(work, device)
        print(
            f"{row.work:66} {row.ours_s:7.3f} s {row.floor_s:7.3f} s {row.ratio:7.3f} {row.added_gib:6.2f} "
            f"{'met ' if row.met else 'MISS'} {row.target}",
            flush=True,
        )
        if file:
            rows = [other for other in rows if other["work"].split(" ")[0] != work.name] + [asdict(row)]
            file.write_text(json.dumps(rows, indent=2) + "\n")


def in_own_process(work: Work, device: str) -> Row:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(work.run, device, False).result()


if __name__ == "__main__":
    main()
