"""What a method has to beat: chance, colours, raw pixels, and networks that never saw the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.config import Record, parse
from pipeline.data.store import ImageStore
from pipeline.evaluation import references
from pipeline.evaluation.stamp import Protocol, Recipe, Result, write_result
from pipeline.scoring.comparison import EvaluationParams, compare, search_of
from pipeline.scoring.evaluate import describe, evaluate, model_from, protocol, test_rows
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.experiment import ExperimentParams, build_method
from pipeline.training.method import Method


class ChanceParams(Record):
    """Random embeddings of ``columns`` numbers, ``trials`` times."""

    columns: int
    trials: int
    seed: int


class ColourStripesParams(Record):
    """Colour histograms of ``stripes`` horizontal stripes, ``bins`` steps per colour."""

    stripes: int
    bins: int


class RawPixelsParams(Record):
    """The image averaged down to ``height`` x ``width`` pixels."""

    height: int
    width: int


class ReferencesParams(Record):
    """The block ``references`` of params.yaml.

    ``pretrained`` is the experiment whose network is scored as it is; ``untrained`` is the same network before it
    was trained.
    """

    data: str
    chance: ChanceParams
    colour_stripes: ColourStripesParams
    raw_pixels: RawPixelsParams
    pretrained: str


def trivial(store: ImageStore, params: ReferencesParams, evaluation: EvaluationParams, out: Path) -> Iterator[Result]:
    """Yields the results of chance, colour stripes and raw pixels, written to ``out/NAME/metrics.json``.

    By the protocol of ``evaluation``, and by cosine distances.
    """
    rows = test_rows(store)
    table, images = store.table.iloc[rows], np.asarray(store.images[rows])
    by_cosine = evaluation.model_copy(update={"distance": "cosine"})
    stamped = protocol(store, search_of(store.meta["protocol"], by_cosine), by_cosine)

    def measure(features: np.ndarray) -> dict[str, float]:
        return compare(features, table, search_of(store.meta["protocol"], by_cosine), by_cosine).metrics

    is_query = (table["role"] == "query").to_numpy()
    chance = references.chance(measure, is_query, **params.chance.model_dump())
    draws = {"seed": params.chance.seed, "trials": params.chance.trials}
    yield _write(store, "chance", chance, params.chance.columns, stamped, out, **draws)
    for name, features in (
        ("colour_stripes", references.colour_stripes(images, **params.colour_stripes.model_dump())),
        ("raw_pixels", references.raw_pixels(images, **params.raw_pixels.model_dump())),
    ):
        yield _write(store, name, measure(features), features.shape[1], stamped, out, seed=0, trials=1)


def networks(
    store: ImageStore, found: Checkpoint, kind: type[Method], params: EvaluationParams, out: Path
) -> Iterator[Result]:
    """Yields the results of a checkpoint's network before its training and after it, on data it never saw."""
    experiment = parse(ExperimentParams, found.meta["experiment"], f"{found.folder}: experiment")
    fresh = build_method(kind, experiment, f"{found.folder}: experiment", store, found.meta["num_classes"])
    untrained = describe("untrained", experiment, fresh, epoch=0)
    recipe = {**untrained.recipe, "start_weights": "random"}
    yield evaluate(replace(untrained, recipe=recipe), store, params, out / "untrained")
    trained = replace(model_from(found, kind, store), name="pretrained")
    recipe = {**trained.recipe, "supervision": "none", "start_weights": found.meta["name"]}
    yield evaluate(replace(trained, recipe=recipe), store, params, out / "pretrained")


def _write(
    store: ImageStore,
    name: str,
    metrics: dict[str, float],
    columns: int,
    stamped: Protocol,
    out: Path,
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
    write_result(out / name / "metrics.json", result)
    return result
