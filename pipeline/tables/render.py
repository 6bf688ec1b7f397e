"""Tables of results as Markdown, LaTeX and plain text; published numbers beside ours where they may stand there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, stdev

from pipeline.evaluation.stamp import METRICS, Recipe, Result, check_equal_protocols
from pipeline.tables.published import Published, published_beside
from pipeline.tables.results import REFERENCES

TITLES = {"rank1": "rank-1", "rank5": "rank-5", "rank10": "rank-10", "rank20": "rank-20"}
HEADER = ("experiment", *(TITLES.get(name, name) for name in METRICS), "seeds", "recipe")
GENERATED = "generated data: not comparable to published numbers"
README_BEGIN, README_END = "<!-- results:begin -->", "<!-- results:end -->"


@dataclass(frozen=True)
class Line:
    """One row: percentages by metric, spread of mAP over seeds (or over trials), number of seeds, recipe in words."""

    name: str
    values: Mapping[str, float]
    spread: float | None
    seeds: str
    recipe: str


@dataclass(frozen=True)
class Table:
    """Results of one data set and one protocol: references, methods and published numbers in groups of lines."""

    title: str
    groups: list[list[Line]]
    notes: list[str]


def build_tables(results: Iterable[Result], published: list[Published]) -> list[Table]:
    """Returns one table per data set and protocol, generated data after real data.

    Raises:
        ValueError: naming the field, when the protocols of one table differ.
    """

    def place(result: Result) -> tuple[bool, str, str]:
        return (result.protocol.is_generated, result.protocol.data, result.protocol.label)

    return [_table(list(rows), published) for _, rows in groupby(sorted(results, key=place), key=place)]


def to_markdown(tables: Iterable[Table]) -> str:
    """Returns the tables as Markdown, the best number of each column in bold."""
    parts = []
    for table in tables:
        rows = [list(HEADER), ["---", *["---:"] * (len(METRICS) + 1), "---"]]
        rows += [row for group in _cells(table, "**{}**".format) for row in group]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        parts.append("\n".join([f"**{table.title}**", "", *lines, "", *(f"{note}  " for note in table.notes)]).rstrip())
    return "\n\n".join(parts) + "\n"


def to_latex(tables: Iterable[Table]) -> str:
    """Returns the tables as LaTeX for the package booktabs, the best number of each column in bold."""
    parts = []
    for table in tables:
        body = "\n\\midrule\n".join(
            "\n".join(" & ".join(row) + r" \\" for row in group)
            for group in _cells(table, r"\textbf{{{}}}".format, escape=_latex)
        )
        parts.append(
            "\n".join(
                [
                    r"\begin{table}",
                    rf"\caption{{{_latex(' '.join([f'{table.title}.', *table.notes]))}}}",
                    rf"\begin{{tabular}}{{l{'r' * (len(METRICS) + 1)}l}}",
                    r"\toprule",
                    " & ".join(HEADER) + r" \\",
                    r"\midrule",
                    body.replace("±", r"$\pm$"),
                    r"\bottomrule",
                    r"\end{tabular}",
                    r"\end{table}",
                ]
            )
        )
    return "\n\n".join(parts) + "\n"


def to_text(tables: Iterable[Table]) -> str:
    """Returns the tables for a terminal, the best number of each column with a star."""
    parts = []
    for table in tables:
        groups = _cells(table, "{}*".format)
        widths = [
            max(map(len, column)) for column in zip(HEADER, *(row for group in groups for row in group), strict=True)
        ]

        def line(row: Iterable[str], widths: list[int] = widths) -> str:
            first, *numbers, last = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            return "  ".join([first.strip().ljust(widths[0]), *numbers, last.strip()])

        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        lines = [table.title, rule, line(HEADER)]
        for group in groups:
            lines += [rule, *(line(row) for row in group)]
        parts.append("\n".join([*lines, rule, *table.notes]))
    return "\n\n".join(parts) + "\n"


def replace_readme_block(readme: str, markdown: str) -> str:
    """Returns ``readme`` with ``markdown`` between its two result marks.

    Raises:
        ValueError: when the marks are not there once each, in order.
    """
    before, begin, rest = readme.partition(README_BEGIN)
    _, end, after = rest.partition(README_END)
    if not begin or not end or README_BEGIN in rest or README_END in after:
        raise ValueError(f"the README needs the lines {README_BEGIN} and {README_END} once each, in this order")
    return f"{before}{begin}\n{markdown}{end}{after}"


def _table(results: list[Result], published: list[Published]) -> Table:
    check_equal_protocols(results)
    protocol = results[0].protocol
    by_experiment: dict[str, list[Result]] = {}
    for result in results:
        by_experiment.setdefault(result.experiment, []).append(result)
    ours: list[list[Line]] = [[], []]
    for rows in by_experiment.values():
        ours[rows[0].experiment not in REFERENCES].append(_line(rows))
    title, theirs = f"{protocol.data}, protocol {protocol.label} [{protocol.digest}]", []
    if protocol.is_generated:
        title += f" ({GENERATED})"
    else:
        supervision = {result.recipe.supervision for result in results}
        theirs = published_beside(published, data=protocol.data, protocol=protocol.label, supervision=supervision)
    notes = ["Percentages; the best of a column is marked."]
    if any(line.spread is not None for group in ours for line in group):
        notes.append("± is the standard deviation over seeds, or over draws where there is one seed.")
    notes += [f"{row.method}: {row.note}." for row in theirs if row.note]
    if theirs:
        notes.append("Published numbers are as printed; sources stand in pipeline/tables/published_results.csv.")
    groups = [*ours, [_published_line(row) for row in theirs]]
    return Table(title, [group for group in groups if group], notes)


def _line(results: list[Result]) -> Line:
    """Returns the mean over the seeds of one experiment."""
    values = {name: 100 * fmean(result.metrics[name] for result in results) for name in METRICS}
    spread = results[0].metrics.get("mAP_std")
    if len(results) > 1:
        spread = stdev(result.metrics["mAP"] for result in results)
    spread = None if spread is None else 100 * spread
    return Line(results[0].experiment, values, spread, str(len(results)), _in_words(results[0].recipe))


def _published_line(row: Published) -> Line:
    return Line(row.method, row.metrics, None, "", f"published, {row.venue}" if row.venue else "published")


def _in_words(recipe: Recipe) -> str:
    parts = [f"{recipe.height}x{recipe.width}", recipe.feature, recipe.distance, "flip" if recipe.flip else ""]
    if recipe.supervision != "none":
        epoch = "epoch not known" if recipe.epoch is None else f"epoch {recipe.epoch}"
        parts += [recipe.supervision, f"from {recipe.start_weights}", f"{epoch} ({recipe.epoch_choice})"]
    return ", ".join(part for part in parts if part)


def _cells(table: Table, mark: Callable[[str], str], escape: Callable[[str], str] = str) -> list[list[list[str]]]:
    """Returns the texts of every group, row and column; ``mark`` is put on the best numbers."""
    lines = [line for group in table.groups for line in group]
    best = {
        name: max((f"{line.values[name]:.1f}" for line in lines if name in line.values), key=float, default="")
        for name in METRICS
    }

    def number(line: Line, name: str) -> str:
        if name not in line.values:
            return "-"
        text = f"{line.values[name]:.1f}"
        marked = mark(text) if text == best[name] else text
        return f"{marked} ± {line.spread:.1f}" if name == "mAP" and line.spread is not None else marked

    return [
        [
            [escape(line.name), *(number(line, name) for name in METRICS), line.seeds, escape(line.recipe)]
            for line in group
        ]
        for group in table.groups
    ]


def _latex(text: str) -> str:
    special = {
        "±": r"$\pm$",
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        ">": r"$>$",
    }
    return "".join(special.get(letter, f"\\{letter}" if letter in "&%$#_{}" else letter) for letter in text)
