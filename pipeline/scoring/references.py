"""What a method has to beat: chance, colours, raw pixels, and networks that never saw the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from pipeline.config import Record, parse
from pipeline.evaluation import trivial_baselines
from pipeline.evaluation.protocols import Search
from pipeline.evaluation.stamp import Protocol, Recipe, Result, write_result
from pipeline.images.store import ImageStore
from pipeline.scoring.comparison import EvaluationParams, compare, searches_of
from pipeline.scoring.evaluate import describe, evaluate, model_from, protocol, test_rows
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.experiment import ExperimentParams, build_method
from pipeline.training.method import Method


class ChanceParams(Record):
    """Random embeddings of ``columns`` numbers, ``trials`` times."""

    columns: Annotated[int, Field(ge=1)]
    trials: Annotated[int, Field(ge=1)]
    seed: int


class ColourStripesParams(Record):
    """Colour histograms of ``stripes`` horizontal stripes, ``bins`` steps per colour."""

    stripes: Annotated[int, Field(ge=1)]
    bins: Annotated[int, Field(ge=1, le=256)]


class RawPixelsParams(Record):
    """The image averaged down to ``height`` x ``width`` pixels."""

    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]


class ReferencesParams(Record):
    """The block ``references`` of params.yaml.

    ``pretrained`` is the experiment whose network is scored as it is; ``untrained`` is the same network before it
    was trained.
    """

    chance: ChanceParams
    colour_stripes: ColourStripesParams
    raw_pixels: RawPixelsParams
    pretrained: str


def trivial(store: ImageStore, params: ReferencesParams, evaluation: EvaluationParams, out: Path) -> Iterator[Result]:
    """Yields the results of chance, colour stripes and raw pixels in each search, written to ``folder_of``.

    By the protocol of ``evaluation``, and by cosine distances.
    """
    rows = test_rows(store)
    table, images = store.table.iloc[rows], np.asarray(store.images[rows])
    by_cosine = evaluation.model_copy(update={"distance": "cosine"})
    is_query = (table["role"] == "query").to_numpy()
    given = {
        "colour_stripes": trivial_baselines.colour_stripes(images, **params.colour_stripes.model_dump()),
        "raw_pixels": trivial_baselines.raw_pixels(images, **params.raw_pixels.model_dump()),
    }
    for place, search in searches_of(store.meta["protocol"], by_cosine).items():

        def measure(features: np.ndarray, search: Search = search) -> dict[str, float]:
            return compare(features, table, search, by_cosine).metrics

        stamped = protocol(store, search, by_cosine)
        chance = trivial_baselines.chance(measure, is_query, **params.chance.model_dump())
        columns, draws = params.chance.columns, {"seed": params.chance.seed, "trials": params.chance.trials}
        yield _write(store, "chance", chance, columns, stamped, folder_of(out, "chance", store) / place, **draws)
        for name, features in given.items():
            folder, draws = folder_of(out, name, store) / place, {"seed": 0, "trials": search.trials}
            yield _write(store, name, measure(features), features.shape[1], stamped, folder, **draws)


def folder_of(out: Path, name: str, store: ImageStore) -> Path:
    """Returns the folder of a reference on the store's data set, below ``out``: references go by one name on each."""
    return out / f"{name}@{store.meta['name']}"


def networks(
    store: ImageStore, found: Checkpoint, kind: type[Method], params: EvaluationParams, out: Path
) -> Iterator[Result]:
    """Yields the results of a checkpoint's network before its training and after it, on data it never saw."""
    experiment = parse(ExperimentParams, found.meta["experiment"], f"{found.folder}: experiment")
    fresh = build_method(kind, experiment, f"{found.folder}: experiment", store, found.meta["num_classes"])
    untrained = describe("untrained", experiment, fresh, epoch=0)
    recipe = {**untrained.recipe, "start_weights": "random"}
    yield from evaluate(replace(untrained, recipe=recipe), store, params, folder_of(out, "untrained", store)).values()
    trained = replace(model_from(found, kind, store), name="pretrained")
    recipe = {**trained.recipe, "supervision": "none", "start_weights": found.meta["name"]}
    yield from evaluate(replace(trained, recipe=recipe), store, params, folder_of(out, "pretrained", store)).values()


def _write(
    store: ImageStore,
    name: str,
    metrics: dict[str, float],
    columns: int,
    stamped: Protocol,
    folder: Path,
    *,
    seed: int,
    trials: int,
) -> Result:
    recipe = Recipe(
        supervision="none",
        start_weights="none",
        height=store.meta["height"],
        width=store.meta["width"],
        feature=f"{columns}-d",
        distance="cosine",
        flip=False,
        cameras="not used",
        epoch=0,
        epoch_choice="last",
    )
    result = Result(name, name, seed, trials, metrics, stamped, recipe)
    write_result(folder / "metrics.json", result)
    return result
