"""How the scores of a base and of a full method grow with the length of training (``budgets.toml``)."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.tables.figures import looks, save
from pipeline.tables.papers import Block
from pipeline.tables.render import Cell, Table
from pipeline.tables.seed_scores import SeedScores

BUDGETS_FILE = Path(__file__).with_name("budgets.toml")


class Family(Block):
    """The rows of one paper: by name, one for each of the lengths; ``suffix`` ends the names of all."""

    paper: str
    chosen: int
    suffix: str
    rows: dict[str, list[str]]


class Budgets(Block):
    """All of budgets.toml; see the comments there."""

    times: list[int]
    families: list[Family]

    @property
    def rows(self) -> list[str]:
        """All rows that are to be trained."""
        return [name + family.suffix for family in self.families for names in family.rows.values() for name in names]


@dataclass(frozen=True)
class Curve:
    """The mAP of a row at each length, in points; None where it was not run."""

    paper: str
    chosen: int
    row: str
    scores: tuple[float | None, ...]


def read_budgets(path: Path = BUDGETS_FILE) -> Budgets:
    """Returns the families.

    Raises:
        ValueError: naming every key that is missing, unknown or of another type, and a row with too few lengths.
    """
    try:
        found = Budgets.model_validate(tomllib.loads(path.read_text()))
    except ValidationError as error:
        raise ValueError(f"{path} does not fit: {error}") from None
    for row, names in ((row, names) for family in found.families for row, names in family.rows.items()):
        if len(names) != len(found.times):
            raise ValueError(f"{path}: {row}: expected a name for each of {len(found.times)} times, got {len(names)}")
    return found


def curves(budgets: Budgets, found_of: Callable[[str], Sequence[Path]]) -> Iterator[Curve]:
    """Yields the curve of each row; ``found_of`` finds the folders of a row's results."""
    for family in budgets.families:
        for row, names in family.rows.items():
            scores = [score(found_of(name + family.suffix)) for name in names]
            yield Curve(family.paper, family.chosen, row, tuple(scores))


def score(places: Sequence[Path]) -> float | None:
    """Returns the mean mAP of a row's seeds, in points; None for a row without results."""
    scores = SeedScores.read(places)
    values = [value for row in scores.folders for value in scores.of(row, "mAP").values()]
    return 100 * sum(values) / len(values) if values else None


def budgets_table(found: Sequence[Curve], times: Sequence[int]) -> Table:
    """Returns a line for each row: its mAP at each length, and how far that of the chosen one is below the best."""
    header = ("paper", "row", *(f"{time} x" for time in times), "chosen", "below the best")
    groups: dict[str, list[list[Cell]]] = {}
    for curve in found:
        there = [value for value in curve.scores if value is not None]
        own = curve.scores[list(times).index(curve.chosen)]
        below = "" if own is None else f"{max(there) - own:.1f}"
        cells = [curve.paper, curve.row, *("" if value is None else f"{value:.1f}" for value in curve.scores)]
        groups.setdefault(curve.paper, []).append([Cell(text) for text in (*cells, f"{curve.chosen} x", below)])
    notes = ["mAP in percent, one seed, on the people by whom the generated worlds were calibrated."]
    title = "mAP by the length of training, in multiples of the default run's"
    return Table(title, header, "ll" + "r" * (len(times) + 2), list(groups.values()), notes)


def draw_budgets(found: Sequence[Curve], times: Sequence[int], path: Path) -> None:
    """Draws a panel for each paper: mAP by the length of training; a line marks the one that was chosen."""
    from matplotlib.figure import Figure

    papers = list(dict.fromkeys(curve.paper for curve in found))
    figure = Figure(figsize=(3.6 * len(papers), 3.2), layout="constrained")
    panels = figure.subplots(1, len(papers), squeeze=False)[0]
    for panel, paper in zip(panels, papers, strict=True):
        own = [curve for curve in found if curve.paper == paper]
        for curve, look in zip(own, looks(curve.row for curve in own).values(), strict=True):
            points = [(time, value) for time, value in zip(times, curve.scores, strict=True) if value is not None]
            style = {"color": look.colour, "linestyle": look.dash, "marker": look.marker}
            panel.plot([time for time, _ in points], [value for _, value in points], label=curve.row, **style)
        panel.axvline(own[0].chosen, color="#777777", linewidth=0.8, linestyle=":")
        panel.set_xscale("log", base=2)
        panel.set_xticks(times, [f"{time} x" for time in times])
        panel.set(title=paper, xlabel="length of training", ylabel="mAP (%)" if paper == papers[0] else "")
        panel.set_ylim(bottom=0)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25, linewidth=0.6)
        panel.legend(frameon=False)
    save(figure, path)
