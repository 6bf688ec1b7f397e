"""A card for every training: what it is, what it was made of, what it is good for and what not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safetensors import safe_open

from pipeline.methods import words
from pipeline.report import citations
from pipeline.report.artifacts import Scored, Training

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
USE = (
    "Meant for research on re-identification methods. To find people again across cameras without their knowledge is "
    "surveillance, and unlawful in many places; this network was not built, tested or licensed for it."
)
GENERATED = "It has seen rendered people only, and its scores say nothing about real ones."
CAMERAS = "It was told which camera took an image ({}); a comparison with methods that were not is unequal."


@dataclass(frozen=True)
class Card:
    """``facts`` in rows of a name and a value; ``citations`` are BibTeX entries by their keys."""

    name: str
    about: str
    facts: list[tuple[str, str]]
    limits: list[str]
    citations: dict[str, str]


def make_card(training: Training, scores: Sequence[Scored], generated: set[str]) -> Card:
    """Returns the card of a training; ``scores`` are its own, ``generated`` the fingerprints of rendered data."""
    meta, experiment = training.meta, training.meta["experiment"]
    limits = [USE]
    results = [result for scored in scores for result in scored.results.values()]
    is_generated = meta["data"] in generated or any(result.protocol.is_generated for result in results)
    limits += [GENERATED] * is_generated
    limits += [
        CAMERAS.format(cameras) for cameras in sorted({result.recipe.cameras for result in results} - {"not used"})
    ]
    facts = [
        ("Method", f"{experiment['method']}, seed {experiment['seed']}"),
        ("Trained on", f"{experiment['data']} ({meta['num_classes']} classes in the last layer)"),
        ("Started from", started_from(experiment["start"])),
        ("Network", network(training)),
        ("Images", f"{meta['image'][0]} x {meta['image'][1]} pixels (height x width)"),
        ("Training", f"{meta['epoch']} epochs in {meta['precision']} on {meta['device']}"),
    ]
    for recipe in [result.recipe for result in results[:1]]:
        facts += [("Learned", recipe.supervision), ("Embedding", recipe.feature)]
    facts += [
        (f"On {result.protocol.data}, {result.protocol.label}", score_in_words(result.metrics)) for result in results
    ]
    facts.append(("Checkpoint", training.folder.as_posix()))
    cited = citations.of_method(experiment["method"])
    for result in results:
        cited |= citations.of_data(result.protocol.data, is_generated=result.protocol.is_generated)
    about = words.about(experiment["method"])
    return Card(training.name, about.sentence if about else "", facts, limits, cited)


def score_in_words(metrics: Mapping[str, float]) -> str:
    """Returns rank-1 and mAP as a sentence has them."""
    return f"rank-1 {100 * metrics['rank1']:.1f} %, mAP {100 * metrics['mAP']:.1f} %"


def started_from(start: str | Mapping[str, Any]) -> str:
    """Returns the start weights of an experiment in words."""
    if isinstance(start, str):
        return start
    return f"{start['file']}{', as far as it fits' if start['partial'] else ''}"


def network(training: Training) -> str:
    """Returns backbone and number of parameters in words."""
    backbone = training.meta["experiment"]["settings"]["backbone"]
    width = "" if backbone["width"] == 1 else f" at {backbone['width']:g} of its width"
    kind = f"ResNet-{backbone['depth']}{'-IBN' if backbone['ibn'] else ''}{width}"
    return f"{kind}, {num_parameters(training) / 1e6:.2f} million parameters with all heads"


def num_parameters(training: Training) -> int:
    """Returns how many numbers the network learned; the statistics of its batch norms are none of them."""
    total = 0
    with safe_open(training.folder / "model.safetensors", framework="numpy") as tensors:
        for name in tensors.keys():  # noqa: SIM118 (a reader, not a mapping)
            size = 1
            for side in tensors.get_slice(name).get_shape():
                size *= side
            total += 0 if name.endswith(STATISTICS) else size
    return total
