"""A trained network -> embeddings of the test images -> stamped metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.backbones import weights
from pipeline.config import parse
from pipeline.evaluation.protocols import Search
from pipeline.evaluation.stamp import Protocol, Recipe, Result, market_protocol, write_result
from pipeline.images.store import ImageStore
from pipeline.layers.embedder import Embedder
from pipeline.scoring.comparison import Comparison, EvaluationParams, compare, searches_of
from pipeline.scoring.embedding import embed_rows
from pipeline.scoring.measures import MEASURES_FILE, measure
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.experiment import ExperimentParams, build_method, start_name
from pipeline.training.method import Method

CMC_RANKS = 50
DRAWS_FILE = "draws.parquet"  # of a prepared data set, see pipeline.datasets.prepare


@dataclass(frozen=True)
class Model:
    """A network to score, and what is to be said of it: ``built`` is the method that it is of, ``method`` its name."""

    name: str
    method: str
    seed: int
    built: Method
    embedder: Embedder
    recipe: Mapping[str, Any]


def model_from(found: Checkpoint, kind: type[Method], store: ImageStore) -> Model:
    """Returns the network of a checkpoint, built by the parameters that stand in it.

    Raises:
        ValueError: when it was trained on images of another size than the store's.
    """
    name, size = found.meta["name"], [store.meta["height"], store.meta["width"]]
    if found.meta["image"] != size:
        was, here = ("x".join(map(str, pixels)) for pixels in (found.meta["image"], size))
        raise ValueError(
            f"{found.folder} was trained on images of {was} pixels, and these are {here}: prepare them at that size"
        )
    params = parse(ExperimentParams, found.meta["experiment"], f"{found.folder}: experiment")
    method = build_method(kind, params, f"{found.folder}: experiment", store, found.meta["num_classes"])
    method.network.load_state_dict(found.model())
    model = describe(name, params, method, epoch=found.meta["epoch"])
    made_by = {name: found.meta.get(name) for name in ("precision", "device", "start_fit")}
    return replace(model, recipe={**model.recipe, **made_by})


def check_data(found: Checkpoint, store: ImageStore, data: Path) -> None:
    """Ensures that a checkpoint was trained on the data set that it is to be scored on, the ``store`` in ``data``.

    A model of another split, as RegDB has ten, may have been trained on the persons that it would be tested on.

    Raises:
        ValueError: when it was another one.
    """
    trained_on, here = found.meta["data"], store.meta["fingerprint"]
    if trained_on != here:
        raise ValueError(
            f"{found.folder} was trained on other data than {data}: expected the fingerprint {here[:16]}, "
            f"got {trained_on[:16]}; train it on these, or score its file by --weights"
        )


def model_from_file(
    name: str, block: Mapping[str, Any], kind: type[Method], store: ImageStore, file: Path, authors: bool
) -> Model:
    """Returns the network of an experiment's block with the weights of ``file``, except its classifiers.

    ``authors`` reads the names that the paper's authors gave their tensors.

    Raises:
        ValueError: when the method's authors published no weights, or the tensors are those of another network.
    """
    params = parse(ExperimentParams, dict(block), f"experiments.{name}")
    method = build_method(kind, params, f"experiments.{name}", store, num_classes=1)
    state = weights.read_state(file)
    weights.load_network(method.network, kind.from_authors(state) if authors else state)
    model = describe(name, params, method, epoch=params.training.epochs)
    unknown = {"start_weights": "not known", "start_fit": None, "epoch": None, "epoch_choice": f"file {file.name}"}
    return replace(model, recipe={**model.recipe, **unknown})


def describe(name: str, params: ExperimentParams, method: Method, *, epoch: int) -> Model:
    """Returns a method's network as a model to score."""
    recipe = {
        "supervision": method.supervision if epoch else "none",
        "start_weights": start_name(params.start),
        "start_fit": None,
        "cameras": method.cameras,
        "epoch": epoch,
        "epoch_choice": "last",
        "precision": None,
        "device": None,
    }
    return Model(name, params.method, params.seed, method, method.embedder(), recipe)


def evaluate(model: Model, store: ImageStore, params: EvaluationParams, folder: Path) -> dict[str, Result]:
    """Writes embeddings, their rows and measures to ``folder``, and returns the result of each search, by its folder.

    The CMC curve and ``metrics.json`` of a search lie in that folder below ``folder``; see ``searches_of``. What is
    measured beside retrieval is in ``measures.json``; see ``measure``.
    """
    rows = test_rows(store)
    table = store.table.iloc[rows]
    searches = searches_of(store.meta["protocol"], params)
    stamps = {place: protocol(store, search, params) for place, search in searches.items()}
    embeddings = embed_rows(model.embedder, store, rows, batch=params.batch, flip=params.flip)
    recipe = Recipe(
        **model.recipe,
        height=store.meta["height"],
        width=store.meta["width"],
        feature=f"{embeddings.shape[1]}-d",
        distance=params.distance,
        flip=params.flip,
    )
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "embeddings.npy", embeddings)
    table.to_parquet(folder / "rows.parquet", index=False)
    results = {}
    for place, search in searches.items():
        found = compare(embeddings, table, search, params, _draws(store) if search.draws == "official" else None)
        result = Result(model.name, model.method, model.seed, search.trials, found.metrics, stamps[place], recipe)
        write_result(folder / place / "metrics.json", result)
        _write_cmc(folder / place / "cmc.csv", found)
        results[place] = result
    measures = measure(model.built, store, rows, embeddings, params, _draws(store))
    (folder / MEASURES_FILE).write_text(json.dumps(measures, indent=1) + "\n")
    return results


def flat_metrics(results: Mapping[str, Result]) -> dict[str, float]:
    """Returns the metrics of all searches by ``SEARCH/METRIC``, or by ``METRIC`` where there is but one search."""
    return {
        f"{place}/{name}" if place else name: value
        for place, result in results.items()
        for name, value in result.metrics.items()
    }


def _write_cmc(path: Path, found: Comparison) -> None:
    curve = [
        {"rank": place, "cmc": float(np.mean([ranking.cmc(place) for ranking in found.rankings]))}
        for place in range(1, CMC_RANKS + 1)
    ]
    pd.DataFrame(curve).to_csv(path, index=False)


def _draws(store: ImageStore) -> pd.DataFrame | None:
    """Returns the galleries that the makers of the data set have drawn, where they were there to be prepared."""
    file = Path(str(getattr(store.images, "filename", ""))).with_name(DRAWS_FILE)
    return pd.read_parquet(file) if file.is_file() else None


def test_rows(store: ImageStore) -> np.ndarray:
    """Returns the store's query and gallery rows."""
    return np.flatnonzero(store.table["split"] == "test")


def protocol(store: ImageStore, search: Search, params: EvaluationParams) -> Protocol:
    """Returns how the store's test images are searched and compared, for the stamp."""
    plain = market_protocol(
        data=store.meta["name"],
        fingerprint=store.meta["fingerprint"],
        counts=store.meta["counts"],
        is_generated=store.meta["generated"],
    )
    return replace(plain, **search.stamp_fields(), **params.stamp_fields())
