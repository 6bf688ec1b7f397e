"""What the papers claim (``claims.toml``), and what the study's results say about it.

An effect is the mean over seeds of a paired difference, counted in the direction of the claim. Its interval is by
Student's t, and wide enough that those of all parts of all claims hold at once (Bonferroni).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from pipeline.tables.estimates import Estimate, estimate, student_t
from pipeline.tables.papers import Block
from pipeline.tables.seed_scores import SeedScores

CLAIMS_FILE = Path(__file__).with_name("claims.toml")

Word = Literal["shown", "shown, small", "refuted", "undecided", "not run"]


class Part(Block):
    """``one`` less ``other`` in a ``metric``, or less ``other_metric`` of the other; see ``SeedScores``."""

    one: str
    other: str
    metric: str
    other_metric: str = ""
    direction: Literal["higher", "lower", "equal"] = "higher"


class Claim(Block):
    """A sentence of a paper's abstract, and the parts that must hold for it.

    ``measured`` says in words by what; ``smallest`` is in the metric's own unit.
    """

    paper: str
    sentence: str
    measured: str
    smallest: float
    parts: list[Part]
    unit: Literal["points", "passes", "weights"] = "points"

    @property
    def scale(self) -> float:
        """What a number is multiplied by to be in the unit: points are hundredths."""
        return 100.0 if self.unit == "points" else 1.0


class Pilot(Block):
    """Where the pilot of a row is: its recipes with ``recipe`` on top, on another data set."""

    recipe: str
    data: dict[str, str]


class Claims(Block):
    """All of claims.toml; see the comments there."""

    confidence: float
    power: float
    wanted: float
    seeds: list[int]
    pilot: Pilot
    claims: list[Claim]

    @cached_property
    def level(self) -> float:
        """The confidence of each interval, with which those of all parts hold at once."""
        parts = [part for claim in self.claims for part in claim.parts if part.direction != "equal"]
        return 1 - (1 - self.confidence) / len(parts)

    @property
    def rows(self) -> list[str]:
        """The rows that some claim needs, each once."""
        parts = [part for claim in self.claims for part in claim.parts]
        return list(dict.fromkeys(row for part in parts for row in (part.one, part.other)))


@dataclass(frozen=True)
class Effect:
    """A part with its estimate, and the effect that so many seeds could have shown, both in the claim's unit.

    ``missing`` counts the seeds that were planned and are not there.
    """

    part: Part
    estimate: Estimate | None
    detectable: float | None
    missing: int
    word: Word


@dataclass(frozen=True)
class Finding:
    """A claim with the effects of its parts, and what they say together."""

    claim: Claim
    effects: tuple[Effect, ...]

    @property
    def word(self) -> Word:
        """All parts must be shown; one that is refuted refutes the claim."""
        words = [effect.word for effect in self.effects]
        for word in ("not run", "refuted", "undecided", "shown, small"):
            if word in words:
                return word
        return "shown"

    @property
    def missing(self) -> int:
        """How many seeds are missing at most."""
        return max(effect.missing for effect in self.effects)


def read_claims(path: Path = CLAIMS_FILE) -> Claims:
    """Returns the claims.

    Raises:
        ValueError: naming every key that is missing, unknown or of another type.
    """
    try:
        return Claims.model_validate(tomllib.loads(path.read_text()))
    except ValidationError as error:
        raise ValueError(f"{path} does not fit: {error}") from None


def judge_all(claims: Claims, scores: SeedScores, planned: Mapping[str, int]) -> list[Finding]:
    """Returns what the scores say about each claim; ``planned`` is the number of seeds of each row."""
    return [
        Finding(claim, tuple(find_effect(claims, claim, part, scores, planned) for part in claim.parts))
        for claim in claims.claims
    ]


def find_effect(claims: Claims, claim: Claim, part: Part, scores: SeedScores, planned: Mapping[str, int]) -> Effect:
    """Returns the effect of a part over the seeds that both rows have."""
    values = differences(part, scores)
    missing = max(min(planned.get(part.one, 0), planned.get(part.other, 0)) - len(values), 0)
    if len(values) < 2:
        return Effect(part, None, None, missing, "not run")
    found = estimate([claim.scale * value for value in values], confidence=claims.level)
    if part.direction == "equal":
        return Effect(part, found, None, missing, judge_equal(found))
    seen = detectable(found.std or 0.0, len(values), level=claims.level, power=claims.power)
    return Effect(part, found, seen, missing, judge(found, claim.scale * claim.smallest))


def differences(part: Part, scores: SeedScores) -> list[float]:
    """Returns by seed how far one row is from the other, positive in the direction of the claim."""
    ones, others = scores.of(part.one, part.metric), scores.of(part.other, part.other_metric or part.metric)
    sign = -1 if part.direction == "lower" else 1
    return [sign * (ones[seed] - others[seed]) for seed in sorted(ones.keys() & others.keys())]


def judge_equal(found: Estimate) -> Word:
    """Returns the verdict on a claim that two rows do not differ at all."""
    return "shown" if found.mean == 0 and found.std == 0 else "refuted"


def judge(found: Estimate, smallest: float) -> Word:
    """Returns the verdict on an effect.

    shown: the interval is above 0; small, if it is below the ``smallest`` effect of interest as well. refuted: it is
    below the smallest effect, and not shown. undecided: neither.
    """
    assert found.low is not None
    assert found.high is not None
    if found.low > 0:
        return "shown, small" if found.high < smallest else "shown"
    return "refuted" if found.high < smallest else "undecided"


def detectable(std: float, num_seeds: int, *, level: float, power: float) -> float:
    """Returns the effect that ``num_seeds`` would show with that ``power``, where differences deviate by ``std``.

    It is that of a noncentral t, which is above the end of the interval with that probability.
    """
    from scipy.special import nctdtrinc

    freedom = num_seeds - 1
    end = student_t(freedom, (1 + level) / 2)
    return float(nctdtrinc(freedom, 1 - power, end)) * std / num_seeds**0.5


@dataclass(frozen=True)
class Plan:
    """What a pilot says of a part: the deviation of its differences, and how many seeds it needs.

    ``detectable`` is the effect that a number of seeds would show; both are in the claim's unit.
    """

    claim: Claim
    part: Part
    std: float | None
    detectable: dict[int, float]
    seeds: int


def plan_seeds(claims: Claims, pilot: SeedScores) -> list[Plan]:
    """Returns how many seeds each part needs, by the pilot's standard deviations alone.

    The usual number, if it would show ``wanted`` times the smallest effect; else the larger one.
    """
    usual, larger = claims.seeds
    plans = []
    for claim in claims.claims:
        for part in claim.parts:
            values = [claim.scale * value for value in differences(part, pilot)]
            if part.direction == "equal" or len(values) < 2:
                plans.append(Plan(claim, part, None, {}, usual))
                continue
            std = estimate(values).std or 0.0
            can = {num: detectable(std, num, level=claims.level, power=claims.power) for num in claims.seeds}
            enough = can[usual] <= claims.wanted * claim.scale * claim.smallest
            plans.append(Plan(claim, part, std, can, usual if enough else larger))
    return plans


def seeds_of_rows(plans: Iterable[Plan]) -> dict[str, int]:
    """Returns how many seeds each row needs: as many as the part that needs most of them."""
    needed: dict[str, int] = {}
    for plan in plans:
        for row in (plan.part.one, plan.part.other):
            needed[row] = max(needed.get(row, 0), plan.seeds)
    return needed
