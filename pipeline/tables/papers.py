"""Which tables the papers need, and which experiment of ours stands in which row (``papers.toml``)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.evaluation.stamp import Result

PAPERS_FILE = Path(__file__).with_name("papers.toml")


class Block(BaseModel):
    """A block of papers.toml; keys without a default must be given, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Place(Block):
    """Where numbers of one table come from: a data set and a protocol, in the words of the stamp.

    ``test_to_train``: where a data set's splits are drawn from the same persons, how many of them are tested for each
    that trains; intervals are wider then.
    """

    data: str
    protocol: str
    is_generated: bool = False
    note: str = ""
    test_to_train: float = 0.0

    @property
    def title(self) -> str:
        """The place in words, as a heading."""
        return f"{self.data}, protocol {self.protocol}"


class Ours(Block):
    """A row of ours: its name, its experiment, and the published method that it repeats.

    ``splits``: of how many splits of the data set it has a model each, where there are several.
    """

    row: str
    experiment: str
    published: str = ""
    splits: int = 0


class Comparison(Place):
    """A comparison with published methods of these kinds of supervision, shown in this order."""

    supervision: list[str] = []
    ours: list[Ours] = []


class GridPlace(Place):
    """Whose numbers fill the rows of a grid: by row, our experiment, and the published method.

    ``variant`` tells apart two places of one data set and protocol; ``splits`` as in ``Ours``.
    """

    variant: str = ""
    splits: int = 0
    experiments: dict[str, str] = {}
    published: dict[str, str] = {}


class Grid(Block):
    """An ablation: a row is its name and an entry for each of ``switches``; differences are from the row ``base``."""

    title: str
    base: str
    switches: list[str]
    rows: list[list[str]]
    places: list[GridPlace]


class Paper(Block):
    """The tables of one paper, and what must be said below each of them."""

    title: str
    notes: list[str]
    comparisons: list[Comparison]
    grids: list[Grid]

    @property
    def experiments(self) -> set[str]:
        """All experiments of ours that stand in some row."""
        named = {row.experiment for table in self.comparisons for row in table.ours}
        places = [place for grid in self.grids for place in grid.places]
        return named | {experiment for place in places for experiment in place.experiments.values()}


class Papers(Block):
    """All of papers.toml; ``tolerance`` is how many points from a published number count as reproducing it."""

    tolerance: float
    papers: dict[str, Paper]


def read_papers(path: Path = PAPERS_FILE) -> Papers:
    """Returns the tables that the papers need.

    Raises:
        ValueError: naming every key that is missing, unknown or of another type, and every row of a grid that has
            not an entry for each switch or is named by a place but not there.
    """
    try:
        found = Papers.model_validate(tomllib.loads(path.read_text()))
    except ValidationError as error:
        raise ValueError(f"{path} does not fit: {error}") from None
    if problems := [problem for paper in found.papers.values() for grid in paper.grids for problem in _check(grid)]:
        raise ValueError("\n  ".join([f"{path} does not fit:", *problems]))
    return found


def results_of(results: Iterable[Result], place: Place, experiment: str, *, splits: int = 0) -> list[Result]:
    """Returns the results of an experiment at ``place``, one for each seed.

    With ``splits`` those on the splits stand as if they were seeds too: they hold different images, but a published
    number is the mean over them. Those of two experiments on one split have the same seed then.

    Raises:
        ValueError: when one is on generated data and the place is not, or the other way round.
    """
    here = [row for row in results if (row.protocol.data, row.protocol.label) == (place.data, place.protocol)]
    found = [result for result in here if result.experiment == experiment]
    if wrong := [result.experiment for result in found if result.protocol.is_generated != place.is_generated]:
        said, is_so = ("generated", "real") if place.is_generated else ("real", "generated")
        raise ValueError(f"{PAPERS_FILE.name} calls {place.title} {said}, but {wrong[0]} was scored on {is_so} data")
    if not splits:
        return found
    fingerprints = sorted({result.protocol.fingerprint for result in here})
    uneven: dict[str, Any] = {"counts": {}} if place.test_to_train else {}  # halves of an odd number of persons
    return [
        replace(
            result,
            seed=result.seed * len(fingerprints) + fingerprints.index(result.protocol.fingerprint),
            protocol=replace(result.protocol, fingerprint="one a split", **uneven),
        )
        for result in found
    ]


def _check(grid: Grid) -> Iterator[str]:
    names = [row[0] for row in grid.rows]
    for row in grid.rows:
        if len(row) != 1 + len(grid.switches):
            yield f"{grid.title}: {row[0]} has {len(row) - 1} entries for {len(grid.switches)} switches"
    named = {grid.base, *(name for place in grid.places for name in (*place.experiments, *place.published))}
    yield from (f"{grid.title}: no row is named {name}" for name in sorted(named - set(names)))
