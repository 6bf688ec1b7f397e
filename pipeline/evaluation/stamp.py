"""The stamp of a number: by which protocol it was measured, and by which recipe it came about.

A number without its protocol is not a number. Every ``metrics.json`` is flat metrics beside its stamp; rows of one
table must have equal protocols, while recipes are shown and may differ. This module needs nothing but Python, so that
tables are made in an instant.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from pipeline.evaluation.metrics import NAMES


@dataclass(frozen=True)
class Reranking:
    """k-reciprocal re-ranking (Zhong et al., CVPR 2017), its three numbers and whose reading of it; see ``rerank``."""

    k1: int
    k2: int
    weight: float
    convention: str


@dataclass(frozen=True)
class Protocol:
    """What must be equal for two numbers to stand in one table.

    Attributes:
        data: name of the data set, as ``market1501``.
        fingerprint: digest of its image table.
        is_generated: whether its images are rendered; such numbers never stand beside published ones.
        counts: sizes of its splits, by name.
        search: which images look for which: ``standard`` for a query folder against a gallery folder,
            else ``all-search``, ``indoor-search``, ``V->T`` and the like.
        gallery: where the gallery comes from: ``fixed``, or how it is drawn.
        trials: how often a gallery is drawn.
        shots: gallery images per identity and camera: ``all``, ``single-shot`` or ``multi-shot``.
        camera_rule: which gallery images a query does not see.
        reranking: the re-ranking done, or None.
        query_expansion: how queries were expanded, or ``none``.
        postprocessing: what was done to features before they were compared, or ``none``.
        average_precision: ``mean precision at each match``, or another definition.
    """

    data: str
    fingerprint: str
    is_generated: bool
    counts: Mapping[str, int]
    search: str
    gallery: str
    trials: int
    shots: str
    camera_rule: str
    reranking: Reranking | None
    query_expansion: str
    postprocessing: str
    average_precision: str

    @property
    def label(self) -> str:
        """The protocol in words that published tables use: ``standard``, ``all-search single-shot``, ..."""
        has_choice = self.search.endswith("-search")  # of shots; LLCM has none, and no table says its single shot
        words = [self.search, self.shots if has_choice else ""]
        words += ["re-ranking" if self.reranking else "", "" if self.query_expansion == "none" else "query expansion"]
        words += ["" if self.postprocessing == "none" else "post-processing"]
        return " ".join(word for word in words if word)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that differ whenever any field does."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Recipe:
    """How the scored features came about; shown beside the numbers.

    Attributes:
        supervision: ``supervised``, ``unsupervised``, or ``none`` where nothing was learned.
        start_weights: what training started from: ``random``, ``pretrain``, ``imagenet``, a file's name.
        start_fit: of a file that fits in part, the layers that it ``filled``, those ``left`` as they were drawn and
            those of the file that were ``skipped``; None for all others, and in results from before there were such.
        height, width: of the images in pixels.
        feature: which feature was compared, with its size.
        distance: ``cosine`` or ``euclidean``.
        flip: whether the features of the image and its mirror image were averaged.
        cameras: what training or clustering did with camera labels, or ``not used``.
        epoch: which epoch's weights, 0 for those before training, None where it is not known.
        epoch_choice: how that epoch was chosen, as ``last``.
        of_epochs: how many a study trains, where it was a shorter training; None for all others.
        precision, device: the number format and the kind of device of the training, None where not known.
    """

    supervision: str
    start_weights: str
    height: int
    width: int
    feature: str
    distance: str
    flip: bool
    cameras: str
    epoch: int | None
    epoch_choice: str
    precision: str | None = None
    device: str | None = None
    start_fit: Mapping[str, list[str]] | None = None
    of_epochs: int | None = None

    @property
    def epochs(self) -> str:
        """The epoch in words: ``12 of 48 (last)``."""
        number = "" if self.epoch is None else f"{self.epoch} "
        return f"{number}{'' if self.of_epochs is None else f'of {self.of_epochs} '}({self.epoch_choice})"


@dataclass(frozen=True)
class Result:
    """The content of one ``metrics.json``: flat ``metrics`` in [0, 1] and who they belong to.

    ``trials`` is what the metrics are a mean of (with ``mAP_std`` among them if more than one), ``seed`` that of the
    training, or of the draws where nothing is trained.
    """

    experiment: str
    method: str
    seed: int
    trials: int
    metrics: Mapping[str, float]
    protocol: Protocol
    recipe: Recipe


def market_protocol(*, data: str, fingerprint: str, counts: Mapping[str, int], is_generated: bool) -> Protocol:
    """Returns the protocol of Market-1501 with nothing added: others are made of it by ``dataclasses.replace``."""
    return Protocol(
        data=data,
        fingerprint=fingerprint,
        is_generated=is_generated,
        counts=dict(counts),
        search="standard",
        gallery="fixed",
        trials=1,
        shots="all",
        camera_rule="same identity and camera removed",
        reranking=None,
        query_expansion="none",
        postprocessing="none",
        average_precision="mean precision at each match",
    )


def write_result(path: Path, result: Result) -> None:
    """Ensures that ``path`` holds ``result`` as JSON with the metrics on top, as ``dvc metrics`` reads them."""
    missing = [name for name in NAMES if name not in result.metrics]
    if missing:
        raise ValueError(f"{path}: a result needs {', '.join(NAMES)}; missing: {', '.join(missing)}")
    if wrong := {name: result.metrics[name] for name in NAMES if not 0 <= result.metrics[name] <= 1}:
        raise ValueError(f"{path}: metrics stand in [0, 1], got {wrong}")
    tree = {
        **result.metrics,
        **{name: getattr(result, name) for name in ("experiment", "method", "seed", "trials")},
        "data": result.protocol.data,
        "stamp": stamp(result),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, indent=2) + "\n")


def read_result(path: Path) -> Result:
    """Returns what ``write_result`` wrote.

    A file from before a metric was added is refused: every row of a table has every metric, and to evaluate again takes
    a minute.

    Raises:
        ValueError: naming the file and each key that is missing or unknown.
    """
    tree = json.loads(path.read_text())
    expected = (*NAMES, "experiment", "method", "seed", "trials", "data", "stamp")
    if missing := [key for key in expected if key not in tree]:
        raise ValueError(f"{path}: not a stamped result, it lacks {', '.join(missing)}: run its evaluate stage again")
    own = {key: tree.pop(key) for key in expected[len(NAMES) :]}
    protocol, recipe = parse_stamp(own["stamp"], str(path))
    return Result(own["experiment"], own["method"], own["seed"], own["trials"], tree, protocol, recipe)


def stamp(result: Result) -> dict[str, Any]:
    """Returns protocol and recipe as plain JSON values."""
    return {"protocol": asdict(result.protocol), "recipe": asdict(result.recipe)}


def parse_stamp(tree: Any, where: str) -> tuple[Protocol, Recipe]:
    """Returns the records that ``stamp`` took apart; ``where`` is their place, for messages."""
    if not isinstance(tree, dict) or set(tree) != {"protocol", "recipe"}:
        raise ValueError(f"{where}: a stamp has a protocol and a recipe, got {tree!r}")
    protocol = dict(tree["protocol"])
    if protocol.get("reranking") is not None:
        protocol["reranking"] = _record(Reranking, protocol["reranking"], f"{where}: reranking")
    return _record(Protocol, protocol, f"{where}: protocol"), _record(Recipe, tree["recipe"], f"{where}: recipe")


def check_equal_protocols(results: Iterable[Result]) -> None:
    """Ensures that the results can stand in one table.

    Raises:
        ValueError: naming two experiments, every field of their protocols that differs, and both values.
    """
    first, *others = results
    for other in others:
        one, two = asdict(first.protocol), asdict(other.protocol)
        if differing := [f"{name}: {one[name]!r} and {two[name]!r}" for name in one if one[name] != two[name]]:
            raise ValueError(
                f"{first.experiment} and {other.experiment} were measured by different protocols and can't stand in "
                "one table; evaluate both on the same data in the same way:\n  " + "\n  ".join(differing)
            )


AnyRecord = TypeVar("AnyRecord", Protocol, Recipe, Reranking)


def _record(kind: type[AnyRecord], tree: Mapping[str, Any], where: str) -> AnyRecord:
    known = {field.name: field.default is MISSING for field in fields(kind)}  # what was added later has a default
    problems = [f"missing {key}" for key in sorted(known) if known[key] and key not in tree]
    problems += [f"unknown {key}" for key in sorted(set(tree) - set(known))]
    if problems:
        raise ValueError(f"{where}: {', '.join(problems)}")
    return kind(**tree)
