"""A paper's comparison: published methods, each number with its source, and ours with the verdict on them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.evaluation.metrics import HEADINGS, MAIN, NAMES
from pipeline.evaluation.stamp import Recipe, Result, check_equal_protocols
from pipeline.tables.estimates import Estimate, Verdict, estimate, estimate_over_splits, judge
from pipeline.tables.overview import GENERATED, MARKED, training_marks
from pipeline.tables.papers import Comparison, Ours, Place, results_of
from pipeline.tables.published import Published, Quoted, published_beside
from pipeline.tables.render import Cell, Sources, Table, drop_empty_columns

HEADER = ("method", "training", "venue or experiment", *(HEADINGS[name] for name in NAMES), "seeds")
RECIPE = ("start", "images", "feature", "distance", "epoch")
SEEDS_HEADER = ("row", "metric", "mean", "std", "95 % interval", "seeds", "published", "verdict")
NOT_RUN = "not run"


@dataclass(frozen=True)
class Measured:
    """What our runs of one experiment say at one place: estimates in points by metric, none if nothing was run."""

    experiment: str
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    recipe: Recipe | None = None
    quoted: Quoted | None = None
    """The published method that it repeats."""
    splits: int = 0
    """Of how many splits each has an experiment of its own."""

    @property
    def seeds(self) -> str:
        """The number of seeds, or of splits, or that nothing was run."""
        if not self.estimates:
            return NOT_RUN
        num = self.estimates[MAIN].num_seeds
        return f"{num} of {self.splits} splits" if self.splits else str(num)

    def verdict(self, metric: str, tolerance: float) -> Verdict | None:
        """Returns the verdict on the published number, None where there is none."""
        if self.quoted is None or metric not in self.quoted.metrics or not self.estimates:
            return None
        return judge(self.estimates[metric], self.quoted.metrics[metric], tolerance)


def measure(
    experiment: str,
    results: Sequence[Result],
    quoted: Quoted | None = None,
    *,
    splits: int = 0,
    test_to_train: float = 0.0,
) -> Measured:
    """Returns what the results of one experiment, one for each seed or split, say in points.

    With ``test_to_train``, as in ``Place``, those of one split are told by their fingerprint.
    """
    if not results:
        return Measured(experiment, quoted=quoted)
    estimates = {name: _estimate(name, results, test_to_train) for name in NAMES}
    return Measured(experiment, estimates, results[0].recipe, quoted, splits)


def _estimate(metric: str, results: Sequence[Result], test_to_train: float) -> Estimate:
    if not test_to_train:
        return estimate([100 * result.metrics[metric] for result in results])
    by_split: defaultdict[str, list[float]] = defaultdict(list)
    for result in results:
        by_split[result.protocol.fingerprint].append(100 * result.metrics[metric])
    return estimate_over_splits(list(by_split.values()), test_to_train=test_to_train)


@dataclass(frozen=True)
class Compared:
    """A comparison with its numbers: published rows, ours by name, and the experiments that are to be marked."""

    place: Place
    quoted: list[Quoted]
    ours: dict[str, Measured]
    marks: Mapping[str, str]


def compare(table: Comparison, results: Iterable[Result], published: list[Published]) -> Compared:
    """Returns the comparison with all its numbers.

    Raises:
        ValueError: when results of different protocols would stand in it, or it repeats a row that is not there.
    """
    quoted = published_beside(published, data=table.data, protocol=table.protocol, supervision=table.supervision)
    every_result = list(results)
    found = {row.row: results_of(every_result, table, row.experiment, splits=row.splits) for row in table.ours}
    if every := [result for rows in found.values() for result in rows]:
        check_equal_protocols(every)
    ours = {
        row.row: measure(
            row.experiment,
            results_of(every_result, table, row.experiment),
            find_quoted(row, quoted, table),
            splits=row.splits,
            test_to_train=table.test_to_train,
        )
        for row in table.ours
    }
    return Compared(table, quoted, ours, training_marks(every))


def find_quoted(row: Ours, quoted: list[Quoted], place: Place) -> Quoted | None:
    """Returns the published method that ``row`` repeats, if it names one."""
    if not row.published:
        return None
    for other in quoted:
        if other.method == row.published:
            return other
    raise ValueError(f"{row.row} repeats {row.published}, of which nothing is published at {place.title}")


def comparison_table(found: Compared) -> Table:
    """Returns the comparison as a table: one group for each kind of training, and ours below."""
    sources = Sources()
    groups: dict[str, list[list[Cell]]] = {}
    for row in found.quoted:
        groups.setdefault(row.supervision, []).append(_quoted_row(row, sources))
    ours = [
        _measured_row(name, row, sources.numbers(found.marks.get(row.experiment))) for name, row in found.ours.items()
    ]
    every = [cells for rows in [*groups.values(), ours] for cells in rows]
    if len({cells[1].text for cells in every} - {""}) == 1:
        for cells in every:
            cells[1] = Cell()
    notes = [MARKED] if any(row.estimates for row in found.ours.values()) or found.quoted else []
    if found.quoted:
        notes.append(
            "Published numbers stand as printed; the raised number names the source, which also tells their recipe."
        )
    if any(row.estimates and row.seeds != "1" for row in found.ours.values()):
        notes.append("± is the standard deviation over seeds, or over splits.")
    if found.place.note:
        notes.append(found.place.note)
    columns = "lll" + "r" * len(NAMES) + "r" + "l" * len(RECIPE)
    table = Table(
        title_of(found.place),
        HEADER + RECIPE,
        columns,
        [*groups.values(), *([ours] if ours else [])],
        notes,
        sources.texts,
    )
    return drop_empty_columns(table)


def seeds_table(found: Compared, tolerance: float) -> Table | None:
    """Returns what our seeds say about mAP and rank-1, and about what is published; None if nothing was run."""
    groups = []
    for name, row in found.ours.items():
        if row.estimates:
            groups.append([_seeds_row(name, metric, row, tolerance) for metric in ("mAP", "rank1")])
    if not groups:
        return None
    corrected = "95 % intervals are those of the mean over splits, seeds averaged, by the corrected resampled t."
    plain = "95 % intervals are those of the mean by Student's t over seeds."
    notes = [corrected if found.place.test_to_train else plain]
    if any(row.quoted for row in found.ours.values()):
        notes.append(f"Reproduced: within {tolerance:g} points of the published number, whatever the interval.")
    table = Table(f"Ours over seeds: {title_of(found.place)}", SEEDS_HEADER, "llrrrrrl", groups, notes)
    return drop_empty_columns(table)


def title_of(place: Place) -> str:
    """Returns the place as a heading that says where data is generated."""
    return f"{place.title} ({GENERATED})" if place.is_generated else place.title


def _quoted_row(row: Quoted, sources: Sources) -> list[Cell]:
    """Returns a published row; the source of most of its numbers stands at its name, another one at its number."""
    main = Counter(row.sources.values()).most_common(1)[0][0]
    numbers = []
    name = Cell(row.method, footnotes=sources.numbers(main, *row.notes))
    for metric in NAMES:
        own = () if row.sources.get(metric, main) == main else sources.numbers(row.sources[metric])
        text = f"{row.metrics[metric]}" if metric in row.metrics else ""
        numbers.append(Cell(text, footnotes=own, is_ranked=bool(text)))
    return [name, Cell(row.supervision), Cell(row.venue), *numbers, Cell(), *(Cell() for _ in RECIPE)]


def _measured_row(name: str, row: Measured, footnotes: tuple[int, ...]) -> list[Cell]:
    numbers = [number(row.estimates.get(metric)) for metric in NAMES]
    training = "" if row.recipe is None else row.recipe.supervision
    first = [Cell(name, footnotes=footnotes), Cell(training), Cell(row.experiment)]
    return [*first, *numbers, Cell(row.seeds), *recipe_cells(row.recipe)]


def number(found: Estimate | None) -> Cell:
    """Returns a mean with its standard deviation, empty where nothing was run."""
    if found is None:
        return Cell()
    return Cell(f"{found.mean:.1f}", "" if found.std is None else f" ± {found.std:.1f}", is_ranked=True)


def interval(found: Estimate | None) -> str:
    """Returns an interval in words, empty where nothing was run."""
    if found is None:
        return ""
    return "none: one seed" if found.low is None else f"{found.low:.1f} to {found.high:.1f}"


def recipe_cells(recipe: Recipe | None) -> list[Cell]:
    """Returns the columns ``RECIPE``, empty where nothing was run."""
    if recipe is None:
        return [Cell() for _ in RECIPE]
    distance = f"{recipe.distance}, flip" if recipe.flip else recipe.distance
    images = f"{recipe.height}x{recipe.width}"
    words = (recipe.start_weights, images, recipe.feature, distance, recipe.epochs)
    return [Cell(word) for word in words]


def _seeds_row(name: str, metric: str, row: Measured, tolerance: float) -> list[Cell]:
    found, verdict = row.estimates[metric], row.verdict(metric, tolerance)
    std = "" if found.std is None else f"{found.std:.2f}"
    published = "" if verdict is None or row.quoted is None else f"{row.quoted.metrics[metric]}"
    first = [Cell(name), Cell(HEADINGS[metric]), Cell(f"{found.mean:.2f}"), Cell(std), Cell(interval(found))]
    return [*first, Cell(row.seeds), Cell(published), Cell("" if verdict is None else str(verdict))]
