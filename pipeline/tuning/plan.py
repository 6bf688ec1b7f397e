"""A search, ready to run: the job of each trial, what it may change, and where it keeps its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.config import overlaid, parse
from pipeline.images.store import ImageStore
from pipeline.provenance import code_digest, digest
from pipeline.training.experiment import ExperimentParams, Job, describe
from pipeline.training.method import Method
from pipeline.tuning.dotted import nested, value_at
from pipeline.tuning.held_out import HeldOut, held_out, write_validation_store
from pipeline.tuning.space import Domain, TuneParams, read_space

CODE = ("pipeline.evaluation", "pipeline.tuning")


@dataclass(frozen=True)
class Plan:
    """What every trial is made from; plain values and absolute paths, so that it can be sent anywhere.

    ``base`` is the experiment's block with ``first`` and ``fidelity`` laid over it, ``job`` the training of it on the
    validation store in ``folder``; ``start`` holds the first trial's values by dotted names, those of ``space``.
    """

    name: str
    params: TuneParams
    space: Mapping[str, Domain]
    start: Mapping[str, Any]
    base: Mapping[str, Any]
    job: Job
    folder: Path
    validate: HeldOut

    @property
    def epochs(self) -> int:
        """How many epochs a trial has that nobody stops."""
        return self.base["training"]["epochs"]

    @property
    def criterion(self) -> str:
        """The metric that is to be as high as possible."""
        return f"val_{self.params.validation.criterion}"

    def place(self, values: Mapping[str, Any]) -> Path:
        """Returns where the trial of ``values`` keeps its checkpoints; with other endings, what else is kept of it."""
        return self.folder / "trials" / digest(dict(values))

    def job_of(self, values: Mapping[str, Any]) -> Job:
        """Returns the trial's training."""
        block = overlaid(self.base, nested(values), f"studies.searches.{self.name}.space")
        return replace(
            self.job,
            experiment=block,
            groups=block["settings"]["batch"]["groups"],
            run_folder=self.place(values),
            meta={**self.job.meta, "experiment": block},
        )

    def found(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what is to be laid over the experiment's block to train it by ``values``."""
        changed = {name: value for name, value in values.items() if value != self.start[name]}
        return overlaid(self.params.first, nested(changed), self.name, adds=True)


def make_plan(
    name: str, params: TuneParams, block: Mapping[str, Any], method: type[Method], data: Path, folder: Path
) -> Plan:
    """Returns the search of ``params`` for the experiment's ``block``; writes its validation store to its ``folder``.

    That is to be the ``search_folder``, in which no other process is.

    Raises:
        ValueError: naming the key of the search that does not fit the experiment, before any work is done.
    """
    where = f"studies.searches.{name}"
    space = read_space(params.space, f"{where}.space")
    base = _base(name, params, block)
    start = start_values(space, base, method, params, where)
    write_validation_store(
        ImageStore(data), folder / "data", share=params.validation.share, seed=params.validation.seed
    )
    job = describe(name, base, method, folder / "data", folder / "trials")
    validate = held_out(
        ImageStore(folder / "data"),
        batch_size=base["training"]["embedding_batch"],
        clustering=base["settings"].get("clustering"),
    )
    return Plan(name, params, space, start, base, job, folder, validate)


def search_folder(
    name: str, params: TuneParams, block: Mapping[str, Any], method: type[Method], data: Path, runs: Path
) -> Path:
    """Returns the folder of the search of ``params``; makes nothing.

    It is named by all that the result depends on, so a search goes on only where the same one was stopped.
    """
    whole = describe(name, _base(name, params, block), method, data, runs)
    made_of = [whole.run_folder.name, params.model_dump(), code_digest(*CODE)]
    return (runs / "tune" / f"{name}-{digest(made_of)}").absolute()


def _base(name: str, params: TuneParams, block: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the experiment's block with ``first`` and ``fidelity`` laid over it."""
    begun = overlaid(block, params.first, f"studies.searches.{name}.first")
    return overlaid(begun, params.fidelity, f"studies.searches.{name}.fidelity")


def start_values(
    space: Mapping[str, Domain], base: Mapping[str, Any], method: type[Method], params: TuneParams, where: str
) -> dict[str, Any]:
    """Returns the values in ``base`` of what ``space`` searches, after trying the ends of every domain on its records.

    Raises:
        ValueError: naming the domain that does not fit.
    """
    if params.validation.criterion == "silhouette" and "clustering" not in base["settings"]:
        raise ValueError(f"{where}.validation.criterion: silhouette is for methods that cluster; expected mAP")
    start = {}
    for name, domain in space.items():
        for value in domain.corners():
            block = overlaid(base, nested({name: value}), f"{where}.space")
            parsed = parse(ExperimentParams, block, f"{where}.space: experiment")
            parse(method.params_type, parsed.settings, f"{where}.space: experiment.settings")
        start[name] = value_at(base, name)
        if not domain.holds(start[name]):
            raise ValueError(
                f"{where}.space.{name}: the start, {start[name]!r}, is not among what may be drawn: widen the domain"
            )
    return start
