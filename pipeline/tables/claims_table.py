"""The verdicts on the papers' claims as a table, as CSV and as a figure."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from pipeline.tables.claims import Claim, Effect, Finding, Plan
from pipeline.tables.figures import COLOURS, save
from pipeline.tables.render import Cell, Table

HEADER = ("paper", "the abstract says", "measured by", "effect", "95 % interval", "could be seen", "seeds", "verdict")
COLUMNS = (
    *("paper", "sentence", "one", "other", "metric", "unit", "smallest", "seeds", "missing"),
    *("mean", "std", "low", "high", "detectable", "verdict"),
)
ONE = {"points": "point", "passes": "pass", "weights": "weight"}
LOOKS = {"shown": (COLOURS[2], "o"), "shown, small": (COLOURS[2], "s"), "undecided": ("#777777", "D")}
LOOKS |= {"refuted": (COLOURS[1], "X"), "not run": ("#777777", "")}
"""A verdict's colour and marker."""


def claims_table(findings: Sequence[Finding]) -> Table:
    """Returns one line for each claim, grouped by paper; the numbers of its parts stand one after the other."""
    groups: dict[str, list[list[Cell]]] = {}
    for found in findings:
        groups.setdefault(found.claim.paper, []).append([Cell(text) for text in _line(found)])
    notes = [
        "An effect is a mean paired difference over seeds, in the direction of the claim: in points (hundredths), or "
        "passes. All intervals hold at once.",
        "shown: the interval is above 0 (small: and below the smallest effect of interest). refuted: it is below the "
        "smallest effect of interest. undecided: neither. A claim of two parts needs both.",
        "could be seen: the effect that so many seeds would have shown four times out of five.",
    ]
    return Table("What the papers claim, on generated data", HEADER, "lllrrrrl", list(groups.values()), notes)


def hypotheses_table(claims: Sequence[Claim]) -> Table:
    """Returns what is to be decided: each part of each claim, and the smallest effect of interest."""
    header = ("paper", "the abstract says", "measured by", "one less other", "smallest effect")
    groups: dict[str, list[list[Cell]]] = {}
    for claim in claims:
        pairs = "; ".join(dict.fromkeys(f"{part.one} - {part.other}" for part in claim.parts if part.one != part.other))
        least = (
            f"{claim.scale * claim.smallest:g} {ONE[claim.unit] if claim.scale * claim.smallest == 1 else claim.unit}"
        )
        cells = (claim.paper, claim.sentence, claim.measured, pairs or claim.parts[0].one, least)
        groups.setdefault(claim.paper, []).append([Cell(text) for text in cells])
    return Table("What is to be decided", header, "lllll", list(groups.values()), [])


def _line(found: Finding) -> list[str]:
    effects = found.effects
    seeds = {effect.estimate.num_seeds for effect in effects if effect.estimate}
    word = (
        found.word if not found.missing or found.word == "not run" else f"{found.word} so far ({found.missing} missing)"
    )
    return [
        found.claim.paper,
        found.claim.sentence,
        found.claim.measured,
        "; ".join(_mean(effect) for effect in effects),
        "; ".join(_interval(effect) for effect in effects),
        "; ".join("" if effect.detectable is None else f"{effect.detectable:.1f}" for effect in effects),
        str(min(seeds)) if seeds else "",
        word,
    ]


def _mean(effect: Effect) -> str:
    return "" if effect.estimate is None else f"{effect.estimate.mean:+.1f}"


def _interval(effect: Effect) -> str:
    found = effect.estimate
    if found is None or found.low is None or effect.detectable is None:
        return ""
    return f"{found.low:+.1f} to {found.high:+.1f}"


def write_csv(findings: Sequence[Finding], path: Path) -> None:
    """Writes a row for each part of each claim, in the claim's unit."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for found in findings:
            claim = found.claim
            for effect in found.effects:
                part, seen = effect.part, effect.estimate
                numbers = (seen.mean, seen.std, seen.low, seen.high) if seen else ("", "", "", "")
                about = (claim.paper, claim.sentence, part.one, part.other, part.metric, claim.unit)
                counts = (claim.scale * claim.smallest, seen.num_seeds if seen else 0, effect.missing)
                writer.writerow([*about, *counts, *numbers, effect.detectable or "", effect.word])


def draw_claims(findings: Sequence[Finding], path: Path) -> None:
    """Draws an interval for each part, in multiples of the smallest effect of interest; exact claims are left out."""
    from matplotlib.figure import Figure

    lines = [(found, effect) for found in findings for effect in found.effects if effect.part.direction != "equal"]
    figure = Figure(figsize=(9.5, 0.8 + 0.34 * len(lines)), layout="constrained")
    panel = figure.subplots()
    panel.axvspan(-1, 1, color="#dddddd", linewidth=0)
    panel.axvline(0, color="black", linewidth=0.8)
    for place, (found, effect) in enumerate(lines):
        if effect.estimate is None or effect.estimate.low is None or effect.estimate.high is None:
            continue
        unit = found.claim.scale * found.claim.smallest
        colour, marker = LOOKS[effect.word]
        low, mean, high = (value / unit for value in (effect.estimate.low, effect.estimate.mean, effect.estimate.high))
        panel.plot([low, high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        panel.plot([mean], [place], color=colour, marker=marker, markersize=7)
    panel.set_yticks(range(len(lines)), [_label(found, effect) for found, effect in lines], fontsize="small")
    right = panel.secondary_yaxis("right")
    right.set_yticks(range(len(lines)), [_verdict(found, effect) for found, effect in lines], fontsize="small")
    right.tick_params(length=0)
    panel.set_ylim(len(lines) - 0.5, -0.5)
    panel.set_xscale("symlog", linthresh=2, linscale=1)
    reach = max(2.0, *(abs(tick) for tick in panel.get_xlim()))
    panel.set_xlim(-reach, reach)
    ticks = [tick for tick in (-50, -20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 50) if abs(tick) <= reach]
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.minorticks_off()
    panel.set_xlabel("effect, in multiples of the smallest effect of interest (grey: below it)")
    panel.spines[["top", "right", "left"]].set_visible(False)
    right.spines["right"].set_visible(False)
    save(figure, path)


def _label(found: Finding, effect: Effect) -> str:
    several = len(found.effects) > 1
    if not several:
        return found.claim.sentence
    own = (
        effect.part.metric.partition("/")[0]
        if "/" in effect.part.metric
        else f"{effect.part.one} - {effect.part.other}"
    )
    return f"{found.claim.sentence}: {own}"


def _verdict(found: Finding, effect: Effect) -> str:
    unit = "points" if found.claim.unit == "points" else found.claim.unit
    return effect.word if effect.estimate is None else f"{effect.estimate.mean:+.1f} {unit}, {effect.word}"


def pilot_table(plans: Sequence[Plan], seeds: Sequence[int]) -> Table:
    """Returns the standard deviations of a pilot, and how many seeds each part needs by them."""
    header = ("the abstract says", "difference", "metric", "std", *(f"seen by {num}" for num in seeds), "seeds")
    rows = []
    for plan in plans:
        part = plan.part
        if plan.std is not None:
            numbers = [f"{plan.std:.2f}", *(f"{plan.detectable[num]:.1f}" for num in seeds), str(plan.seeds)]
            difference = f"{part.one} - {part.other}"
            rows.append([Cell(text) for text in (plan.claim.sentence, difference, part.metric, *numbers)])
    notes = [
        "std: of paired differences over the pilot's seeds, in points or passes. seen by N: the effect that N seeds "
        "would show four times out of five."
    ]
    return Table("The pilot", header, "lll" + "r" * (len(seeds) + 2), [rows], notes)
