"""What the pipeline has made, as a report reads it: scored networks, trainings, prepared data."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.stamp import Result, read_result
from pipeline.images.store import META_FILE, ImageStore
from pipeline.tables.results import REFERENCES
from pipeline.training.checkpoint import META, read_meta

METRICS, HISTORY = "metrics.json", "history.csv"
EMBEDDINGS, ROWS, REPORT = "embeddings.npy", "rows.parquet", ".report.json"
TRAININGS = "artifacts/train"
"""What a start that is a training of ours begins with."""


@dataclass(frozen=True)
class Scored:
    """A folder of ``artifacts/evaluate``: ``results`` by the folder of their search, '' where there is one search."""

    folder: Path
    results: Mapping[str, Result]

    @property
    def name(self) -> str:
        """Name of the experiment with its seed, or of the reference without its data set."""
        return self.folder.name.partition("@")[0]

    @property
    def files(self) -> list[Path]:
        """The files that its results were read from."""
        return [self.folder / search / METRICS for search in self.results]

    @property
    def any_result(self) -> Result:
        """One of the results: all of them have the same data and the same network."""
        return next(iter(self.results.values()))

    @property
    def data(self) -> tuple[str, str]:
        """Name and fingerprint of the data set that it was scored on."""
        protocol = self.any_result.protocol
        return protocol.data, protocol.fingerprint

    @property
    def is_reference(self) -> bool:
        """Whether it learned nothing on the data."""
        return self.any_result.experiment in REFERENCES

    @property
    def has_embeddings(self) -> bool:
        """Whether its embeddings were kept; those of chance and the like are not."""
        return (self.folder / EMBEDDINGS).is_file() and (self.folder / ROWS).is_file()

    def embeddings(self) -> np.ndarray:
        """Returns the embeddings of the test images, float32 ``[N, D]``."""
        return np.load(self.folder / EMBEDDINGS)

    def rows(self) -> pd.DataFrame:
        """Returns the rows of the image table that the embeddings are of."""
        return pd.read_parquet(self.folder / ROWS)

    def curve(self, search: str) -> tuple[list[float], list[float]]:
        """Returns ranks and the share of queries matched by then; both empty where no curve was kept."""
        file = self.folder / search / "cmc.csv"
        rows = _rows(file) if file.is_file() else []
        return [float(row["rank"]) for row in rows], [float(row["cmc"]) for row in rows]


@dataclass(frozen=True)
class Training:
    """A folder of ``artifacts/train``: what its checkpoint says of itself, and a row of metrics per epoch."""

    name: str
    folder: Path
    meta: Mapping[str, Any]
    history: list[dict[str, float]]

    def curve(self, column: str) -> tuple[list[float], list[float]]:
        """Returns the epochs that have a value in ``column``, and the values."""
        there = [row for row in self.history if column in row]
        return [row["epoch"] for row in there], [row[column] for row in there]


@dataclass(frozen=True)
class Artifacts:
    """All that there is to report on; ``examined`` are the data doctor's reports as JSON has them."""

    scores: Sequence[Scored]
    trainings: Mapping[str, Training]
    stores: Mapping[tuple[str, str], ImageStore]
    examined: Sequence[Mapping[str, Any]]


def read_artifacts(scores: Path, trainings: Path, prepared: Path, names: Iterable[str]) -> Artifacts:
    """Returns what there is of these names, or of everything that was scored: see ``read_scores``.

    Data sets are those that something was scored on or trained on.
    """
    scored = read_scores(scores, names)
    trained = read_trainings(trainings, [one.name for one in scored])
    stores = {one.data: store for one in scored if (store := find_store(prepared, one))}
    reports = [json.loads(file.read_text()) for file in sorted(prepared.glob(f"*{REPORT}"))]
    used = {fingerprint for _, fingerprint in stores} | {training.meta["data"] for training in trained.values()}
    return Artifacts(scored, trained, stores, [report for report in reports if report["fingerprint"] in used])


def read_scores(folder: Path, names: Iterable[str]) -> list[Scored]:
    """Returns the scored networks of these names, in their order; without names, all there are.

    Raises:
        ValueError: naming one that has no results.
    """
    found = []
    for name in list(names) or sorted({path.relative_to(folder).parts[0] for path in folder.rglob(METRICS)}):
        paths = sorted((folder / name).rglob(METRICS))
        if not paths:
            raise ValueError(f"{folder / name}: no {METRICS}: run its evaluate stage first (dvc repro)")
        places = [path.parent.relative_to(folder / name).as_posix() for path in paths]
        results = {"" if place == "." else place: read_result(path) for place, path in zip(places, paths, strict=True)}
        found.append(Scored(folder / name, results))
    return found


def read_trainings(folder: Path, names: Iterable[str]) -> dict[str, Training]:
    """Returns the trainings of these names that are there, and after them those whose weights they started from."""
    found: dict[str, Training] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in found and (folder / name / META).is_file():
            found[name] = _training(folder / name)
            start = str(found[name].meta["experiment"]["start"])
            waiting += [start.removeprefix(f"{TRAININGS}/")] * start.startswith(TRAININGS)
    return found


def find_store(folder: Path, scored: Scored) -> ImageStore | None:
    """Returns the packed images below ``folder`` that a network was scored on, None where they are gone."""
    result = scored.any_result
    wanted = (result.protocol.fingerprint, result.recipe.height, result.recipe.width)
    for meta in sorted(folder.glob(f"*/{META_FILE}")):
        tree = json.loads(meta.read_text())
        if (tree["fingerprint"], tree["height"], tree["width"]) == wanted:
            return ImageStore(meta.parent)
    return None


def scored_images(store: ImageStore) -> np.ndarray:
    """Returns the store's test images, uint8 ``[N, H, W, 3]``, in the order of embeddings."""
    return store.images[np.flatnonzero(store.table["split"] == "test")]


def _training(folder: Path) -> Training:
    history = [{name: float(value) for name, value in row.items() if value} for row in _rows(folder / HISTORY)]
    return Training(folder.name, folder, read_meta(folder), history)


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))
