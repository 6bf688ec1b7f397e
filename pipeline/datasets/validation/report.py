"""What an examination has found, all of it: for a terminal, and for whatever reads JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.datasets.validation.findings import RULES, Finding
from pipeline.images.table import DISTRACTOR, NO_CAMERA, SPLIT_OF_ROLE, Counts, DataError

EXAMPLES = 10
"""How many findings of one rule a terminal shows; the file has all of them."""


@dataclass(frozen=True)
class Report:
    """A data set's size and everything that was found.

    Attributes:
        name: of its block in params.yaml.
        data: what published numbers call it.
        fingerprint: digest of its images and their use (``pipeline.images.table.fingerprint``); '' with any error.
        sizes: by role: images, identities, cameras, distractors, infrared images.
        published: the published counts that it was held against, as ``pipeline.images.table.Counts``; None for a part
            of a data set, and for one of which nobody has published any.
        heights, widths: the smallest and the largest of the readable images, in pixels.
        findings: all of them, in the order of ``RULES``.
    """

    name: str
    data: str
    fingerprint: str
    sizes: dict[str, dict[str, int]]
    published: Counts | None
    heights: tuple[int, int]
    widths: tuple[int, int]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> list[Finding]:
        """What keeps the data set from being used."""
        return [finding for finding in self.findings if finding.is_error]

    @property
    def warnings(self) -> list[Finding]:
        """What is odd, or cannot be known for sure."""
        return [finding for finding in self.findings if not finding.is_error]

    @property
    def notes(self) -> list[str]:
        """What goes with the data set wherever it goes: the reader's notes, and numbers that are not as heard of."""
        return [finding.text for finding in self.findings if finding.rule in ("note", "unverified_counts")]

    def refuse_errors(self, folder: Path) -> None:
        """Ensures that there are no errors.

        Raises:
            DataError: with all of them, and the report as its message.
        """
        if self.errors:
            raise DataError(folder, [finding.text for finding in self.errors], str(self))

    def as_json(self) -> dict[str, Any]:
        """Returns the report in plain types, without a word about the machine: the same data give the same bytes."""
        return {
            "name": self.name,
            "data": self.data,
            "fingerprint": self.fingerprint,
            "sizes": self.sizes,
            "published": self.published and asdict(self.published),
            "heights": list(self.heights),
            "widths": list(self.widths),
            "num_errors": len(self.errors),
            "num_warnings": len(self.warnings),
            "findings": [
                {
                    "rule": rule,
                    "level": "error" if RULES[rule].is_error else "warning",
                    "what": RULES[rule].what,
                    "advice": RULES[rule].advice,
                    "found": texts,
                }
                for rule, texts in self._by_rule()
            ],
        }

    def write(self, path: Path) -> None:
        """Ensures that ``path`` holds the report as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n")

    def __str__(self) -> str:
        lines = [f"{self.name}: {_some(len(self.errors), 'error')}, {_some(len(self.warnings), 'warning')}"]
        lines += [f"  {role}: {_size(size)}" for role, size in self.sizes.items()]
        if self.sizes:
            lines.append(f"  images of {_span(self.heights)} x {_span(self.widths)} pixels (height x width)")
        lines += [f"  fingerprint {self.fingerprint}"] * bool(self.fingerprint)
        for rule, texts in self._by_rule():
            level = "error" if RULES[rule].is_error else "warning"
            lines.append(f"{level}: {RULES[rule].what} ({len(texts):,}). What to do: {RULES[rule].advice}")
            lines += [f"  {text}" for text in texts[:EXAMPLES]]
            if (rest := len(texts) - EXAMPLES) > 0:
                lines.append(f"  ... and {rest:,} more")
        return "\n".join(lines)

    def _by_rule(self) -> list[tuple[str, list[str]]]:
        """Returns the texts of each rule that was broken: errors first, each in the order of ``RULES``."""
        texts: dict[str, list[str]] = {}
        for finding in self.findings:
            texts.setdefault(finding.rule, []).append(finding.text)
        order = sorted(RULES, key=lambda rule: not RULES[rule].is_error)
        return [(rule, texts[rule]) for rule in order if rule in texts]


def describe(
    name: str,
    data: str,
    table: pd.DataFrame,
    fingerprint: str,
    findings: Sequence[Finding],
    *,
    published: Counts | None,
) -> Report:
    """Returns the report of an image table; ``width`` is 0 where an image could not be read."""
    roles = {str(role): images for role, images in table.groupby("role", sort=False)}
    sizes = {role: _sizes(roles[role]) for role in dict.fromkeys([*SPLIT_OF_ROLE, *roles]) if role in roles}
    read = table[table["sha256"] != ""]
    spans = [(int(read[side].min()), int(read[side].max())) if len(read) else (0, 0) for side in ("height", "width")]
    order = list(RULES)
    ordered = tuple(sorted(findings, key=lambda finding: order.index(finding.rule)))
    return Report(name, data, fingerprint, sizes, published, spans[0], spans[1], ordered)


def unlisted(name: str, problems: Sequence[str]) -> Report:
    """Returns the report of a data set of which not even a list could be made."""
    return Report(name, "", "", {}, None, (0, 0), (0, 0), tuple(Finding("reader", problem) for problem in problems))


def _sizes(images: pd.DataFrame) -> dict[str, int]:
    persons, cameras = images["person_id"], images["camera_id"]
    return {
        "images": len(images),
        "identities": int(persons[persons != DISTRACTOR].nunique()),
        "cameras": int(cameras[cameras != NO_CAMERA].nunique()),
        "distractors": int((persons == DISTRACTOR).sum()),
        "infrared": int((images["modality"] == "infrared").sum()),
    }


def _size(size: dict[str, int]) -> str:
    infrared = f", {size['infrared']:,} in infrared" if size["infrared"] else ""
    return (
        f"{size['images']:,} images, {size['identities']:,} identities, {size['cameras']} cameras, "
        f"{size['distractors']:,} distractors{infrared}"
    )


def _some(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _span(both: tuple[int, int]) -> str:
    return f"{both[0]}" if both[0] == both[1] else f"{both[0]}..{both[1]}"
