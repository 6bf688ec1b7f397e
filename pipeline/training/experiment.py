"""One experiment of params.yaml, trained: store + method + loop, in this process or as one of several workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from pipeline.backbones import weights
from pipeline.batches.loading import Loader
from pipeline.batches.transforms import Augmentation, AugmentationParams
from pipeline.config import Record, parse
from pipeline.images.store import ImageStore
from pipeline.provenance import code_digest, digest, file_digest, git_commit, versions
from pipeline.training import checkpoint
from pipeline.training.loop import Report, Trainer, TrainingParams, Validate, shown_labels
from pipeline.training.method import Method
from pipeline.training.precision import resolve, storage_dtype, use_plain_float32
from pipeline.training.step import PLAIN, StepParams, prepared
from pipeline.training.workers import Workers

WITHOUT_FILE = ("none", "imagenet")
"""Starts that are no file of ours: the network as it is built, and torchvision's weights."""
CODE = ("backbones", "batches", "clustering", "images", "layers", "losses", "methods", "neighbors", "training")
"""The parts of the library that move the result of a training that loads them."""


class PartialStart(Record):
    """A weights ``file`` that may lack tensors of the backbone, and have others, if it is ``partial``."""

    file: str
    partial: bool


class ExperimentParams(Record):
    """An experiment of params.yaml, resolved (``pipeline.experiments``).

    ``data`` names a prepared data set, ``NAME/2`` its second split; ``start`` is ``none``, ``imagenet``, a weights
    file, also one that fits in part, or the folder of an earlier training's checkpoint; ``settings`` is the method's
    own block, read by the method's record.
    """

    method: str
    data: str
    seed: int
    start: str | PartialStart
    augmentation: AugmentationParams
    training: TrainingParams
    settings: dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What a worker needs to train an experiment: plain values and absolute paths, so that it can be sent anywhere.

    ``experiment`` is the block of params.yaml; ``start`` names the start weights, a file by its absolute path, and
    ``sources`` the files that ``Method.sources`` asks for; ``groups`` counts those of a batch; ``run_folder`` keeps
    the checkpoints while training runs; ``meta`` goes into them.
    """

    name: str
    experiment: Mapping[str, Any]
    method: type[Method]
    data: Path
    run_folder: Path
    start: str
    sources: Mapping[str, Path]
    groups: int
    meta: Mapping[str, Any]


def describe(name: str, block: Mapping[str, Any], method: type[Method], data: Path, runs: Path) -> Job:
    """Returns the job of an experiment; its run folder is named by all that its result depends on.

    So a run goes on after a crash, and never goes on from the checkpoints of other parameters, data or code.

    Raises:
        ValueError: naming the keys of the block that do not fit, or absent start weights, before any work is done.
    """
    params = parse(ExperimentParams, dict(block), f"experiments.{name}")
    settings = parse(method.params_type, params.settings, f"experiments.{name}.settings")
    store = ImageStore(data)
    start = start_file(params.start)
    sources = {kind: _source(kind, Path(path)) for kind, path in method.sources(settings).items()}
    depends_on = {
        "experiment": dict(block),
        "data": store.meta["fingerprint"],
        "rows": digest(store.table["sha256"].tolist()),
        "image": [store.meta["height"], store.meta["width"]],
        "resampling": store.meta["resampling"],
        "start": start if start in WITHOUT_FILE else file_digest(Path(start)),
        "sources": {kind: file_digest(path) for kind, path in sources.items()},
        "code": code_digest(*(f"pipeline.{part}" for part in CODE)),
    }
    meta = {
        **depends_on,
        "name": name,
        "digest": digest(depends_on),
        "commit": git_commit(),
        "versions": versions(),
        "num_classes": int(shown_labels(training_labels(store), method.supervision).max()) + 1,
    }
    run_folder = (runs / f"{name}-{meta['digest']}").absolute()
    return Job(name, block, method, data.absolute(), run_folder, start, sources, settings.batch.groups, meta)


def start_name(start: str | PartialStart) -> str:
    """Returns the name of start weights, as they stand beside a result."""
    if isinstance(start, PartialStart):
        return Path(start.file).name + (" (in part)" if start.partial else "")
    return "random" if start == "none" else Path(start).name


def load_start(network: weights.HasBackbone, start: str | PartialStart, file: str) -> weights.Fit | None:
    """Fills the network's backbone from the ``file`` that ``start`` names, see ``start_file``."""
    return weights.load_start(network, file, partial=isinstance(start, PartialStart) and start.partial)


def start_file(start: str | PartialStart) -> str:
    """Returns the absolute path of the weights that ``start`` names, or ``start`` itself where it names no file.

    Raises:
        WeightsError: saying where the file was looked for.
        CheckpointError: when it is of a checkpoint, and not what was saved.
    """
    start = start.file if isinstance(start, PartialStart) else start
    if start in WITHOUT_FILE:
        return start
    file = (Path(start) / checkpoint.MODEL if Path(start).is_dir() else Path(start)).absolute()
    if not file.is_file():
        raise weights.WeightsError(
            f"start: no weights at {file}: put the file there, train the experiment that makes it, or name another "
            f"file (or one of {', '.join(WITHOUT_FILE)})"
        )
    _check_whole(file)
    return str(file)


def _source(kind: str, path: Path) -> Path:
    """Returns the absolute path of a file that an earlier stage makes."""
    if not path.is_file():
        raise ValueError(
            f"{kind}: no file at {path.absolute()}: run the stage that makes it (dvc repro), or name another"
        )
    _check_whole(path)
    return path.absolute()


def _check_whole(file: Path) -> None:
    """Ensures that weights out of a checkpoint are those that were saved."""
    if file.name == checkpoint.MODEL and (file.parent / checkpoint.META).is_file():
        checkpoint.open_checkpoint(file.parent)


def run(
    job: Job, report: Report, device: torch.device, validate: Validate | None = None, *, step: StepParams = PLAIN
) -> list[dict[str, float]]:
    """Trains the job, or goes on with it, and returns the metrics of each epoch, those of ``validate`` among them.

    The same job may go on with another ``step``.
    """
    params = parse(ExperimentParams, dict(job.experiment), f"experiments.{job.name}")
    use_plain_float32()
    precision = resolve(params.training.precision, device)
    store = ImageStore(job.data)
    workers = Workers.current()
    method = build_method(job.method, params, f"experiments.{job.name}", store, job.meta["num_classes"])
    fit = None
    if workers.is_first:
        fit = load_start(cast(weights.HasBackbone, method.network), params.start, job.start)
        if fit:
            print(f"{job.name}: start, in part: {fit}", flush=True)
    method.begin_training(store.cameras, store.is_infrared, job.sources)
    dtype = storage_dtype(precision)
    method.to(device=device, dtype=dtype)
    loader = Loader(
        store.images,
        store.cameras,
        store.is_infrared,
        Augmentation(seed=params.seed, **dict(params.augmentation)),
        device=device,
        dtype=dtype,
    )
    with prepared(method, step, device, partial(_say, job.name, workers)):
        trainer = Trainer(  # whose optimizer takes the layout that the weights have by now
            name=job.name,
            method=method,
            loader=loader,
            identities=training_labels(store),
            params=params.training,
            seed=params.seed,
            precision=precision,
            device=device,
            workers=workers,
            run_folder=job.run_folder,
            meta={**job.meta, "precision": precision, "device": device.type, "start_fit": asdict(fit) if fit else None},
            report=report,
            validate=validate,
            groups_at_once=step.groups_at_once,
        )
        return trainer.run()


def _say(name: str, workers: Workers, line: str) -> None:
    if workers.is_first:
        print(f"{name}: {line}", flush=True)


def publish(job: Job, folder: Path, history: list[dict[str, float]], tracking_run: str | None) -> None:
    """Puts the finished job's checkpoint, and its history as a table, into ``folder``."""
    found = checkpoint.latest(job.run_folder)
    if found is None or found.meta["epoch"] != len(history):
        raise checkpoint.CheckpointError(f"{job.run_folder}: no checkpoint of the last epoch, {len(history)}")
    checkpoint.publish(found, folder, {"tracking_run": tracking_run})
    pd.DataFrame(history).to_csv(folder / "history.csv", index=False)


def is_published(job: Job, folder: Path) -> bool:
    """Returns whether ``folder`` holds the finished job: of the same parameters, data, start and code."""
    if not (folder / checkpoint.META).is_file():
        return False
    meta = checkpoint.open_checkpoint(folder).meta
    return meta.get("digest") == job.meta["digest"] and meta["epoch"] == job.experiment["training"]["epochs"]


def build_method(
    kind: type[Method], params: ExperimentParams, where: str, store: ImageStore, num_classes: int
) -> Method:
    """Returns the experiment's method, not yet started from any weights; ``where`` is its place in params.yaml."""
    return kind(
        parse(kind.params_type, params.settings, f"{where}.settings"),
        num_classes=num_classes,
        height=store.meta["height"],
        width=store.meta["width"],
        seed=params.seed,
    )


def training_labels(store: ImageStore) -> np.ndarray:
    """Returns labels ``[N]`` int64 of the store's rows: training identities from 0, -1 for all other images."""
    labels = np.full(len(store.table), -1, dtype=np.int64)
    is_training = (store.table["role"] == "train").to_numpy()
    labels[is_training] = np.unique(store.table.loc[is_training, "person_id"].to_numpy(), return_inverse=True)[1]
    return labels
