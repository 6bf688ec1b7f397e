"""Tables as Markdown, LaTeX and plain text: the best number of each column in bold, the second best underlined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from textwrap import wrap

from pipeline.evaluation.metrics import METRICS

FALLING = {metric.heading for metric in METRICS if not metric.larger_is_better}
"""Headings of columns in which the smallest number is the best."""
LATEX_HEAD = r"% \usepackage{booktabs,amssymb,graphicx}"
LATEX_BEGIN = r"\setlength{\tabcolsep}{4pt}\sbox0{%"
LATEX_END = r"}\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi"
"""What a page is too narrow for is made smaller."""
LONG = 30
"""Characters of a text for which no column has room on a page."""
HEADING = 14
"""Characters of a line of a column's heading."""


@dataclass(frozen=True)
class Cell:
    """One cell: ``text``, then ``tail`` (a spread), then references to footnotes.

    A cell that ``is_ranked`` holds a number as its text, and is marked where it is the best of its column.
    """

    text: str = ""
    tail: str = ""
    footnotes: tuple[int, ...] = ()
    is_ranked: bool = False


@dataclass(frozen=True)
class Table:
    """Groups of rows below one header. ``columns`` has ``l`` or ``r`` for each column; footnote 1 is the first."""

    title: str
    header: tuple[str, ...]
    columns: str
    groups: list[list[list[Cell]]]
    notes: list[str]
    footnotes: tuple[str, ...] = ()


class Sources:
    """The footnotes of one table, numbered in the order in which they are first asked for."""

    def __init__(self) -> None:
        self.texts: tuple[str, ...] = ()

    def numbers(self, *texts: str | None) -> tuple[int, ...]:
        """Returns the numbers of the footnotes with these texts; None is none."""
        given = [text for text in texts if text is not None]
        self.texts = tuple(dict.fromkeys([*self.texts, *given]))
        return tuple(self.texts.index(text) + 1 for text in given)


@dataclass(frozen=True)
class Format:
    """What the three forms do differently with a cell."""

    best: Callable[[str], str]
    second: Callable[[str], str]
    footnote: Callable[[str], str]
    escape: Callable[[str], str] = str


def to_markdown(tables: Iterable[Table]) -> str:
    """Returns the tables as Markdown."""
    form = Format(
        "**{}**".format, "<ins>{}</ins>".format, "<sup>{}</sup>".format, lambda text: text.replace("|", "\\|")
    )
    parts = []
    for table in tables:
        rows = [list(table.header), ["---" if side == "l" else "---:" for side in table.columns]]
        rows += [row for group in texts(table, form) for row in group]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        below = "".join(f"{note}  \n" for note in notes(table, form))
        parts.append("\n".join([f"**{table.title}**", "", *lines, "", below]).rstrip())
    return "\n\n".join(parts) + "\n"


def to_latex(tables: Iterable[Table]) -> str:
    """Returns the tables as LaTeX for the packages booktabs, amssymb and graphicx.

    They are as wide as the page, or a column of it, at most: long texts become footnotes, and what is still too wide is
    made smaller.
    """
    form = Format(r"\textbf{{{}}}".format, r"\underline{{{}}}".format, "$^{{{}}}$".format, _latex)
    parts = [LATEX_HEAD]
    for table in map(_for_a_page, tables):
        body = "\n\\midrule\n".join(
            "\n".join(" & ".join(row) + r" \\" for row in group) for group in texts(table, form)
        )
        lines = [
            r"\begin{table*}",
            r"\centering\small",
            rf"\caption{{{_latex(table.title)}}}",
            LATEX_BEGIN,
            rf"\begin{{tabular}}{{{table.columns}}}",
            r"\toprule",
            " & ".join(map(_latex_heading, table.header, table.columns)) + r" \\",
            r"\midrule",
            body,
            r"\bottomrule",
            r"\end{tabular}%",
            LATEX_END,
            rf"\par\smallskip\raggedright\footnotesize {' '.join(notes(table, form))}",
            r"\end{table*}",
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def to_text(tables: Iterable[Table]) -> str:
    """Returns the tables for a terminal, the best number of each column with a star, the second best with a tick."""
    form = Format("{}*".format, "{}'".format, "[{}]".format)
    parts = []
    for table in tables:
        groups = texts(table, form)
        rows = [list(table.header), *(row for group in groups for row in group)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

        def line(row: list[str], widths: list[int] = widths, columns: str = table.columns) -> str:
            cells = zip(row, widths, columns, strict=True)
            return "  ".join(cell.ljust(width) if side == "l" else cell.rjust(width) for cell, width, side in cells)

        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        lines = [table.title, rule, line(list(table.header))]
        for group in groups:
            lines += [rule, *(line(row) for row in group)]
        parts.append("\n".join(text.rstrip() for text in [*lines, rule, *notes(table, form)]))
    return "\n\n".join(parts) + "\n"


def drop_empty_columns(table: Table) -> Table:
    """Returns the table without the columns in which no row says anything."""
    rows = [row for group in table.groups for row in group]
    kept = [index for index in range(len(table.header)) if any(row[index].text for row in rows)]
    return Table(
        table.title,
        tuple(table.header[index] for index in kept),
        "".join(table.columns[index] for index in kept),
        [[[row[index] for index in kept] for row in group] for group in table.groups],
        table.notes,
        table.footnotes,
    )


def replace_blocks(page: str, blocks: Mapping[str, str]) -> str:
    """Returns a page with Markdown between its marks ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``, by name.

    Raises:
        ValueError: when the page has no marks of these blocks, or not once each, in order.
    """
    marks = {name: (f"<!-- {name}:begin -->", f"<!-- {name}:end -->") for name in blocks}
    there = [name for name, both in marks.items() if any(mark in page for mark in both)]
    if not there:
        raise ValueError(
            f"the page has no block to replace: expected {' or '.join(each[0] for each in marks.values())}"
        )
    for name in there:
        start, stop = marks[name]
        before, begin, rest = page.partition(start)
        _, end, after = rest.partition(stop)
        if not begin or not end or start in rest or stop in after:
            raise ValueError(f"the page needs the lines {start} and {stop} once each, in this order")
        page = f"{before}{begin}\n{blocks[name]}{end}{after}"
    return page


def texts(table: Table, form: Format) -> list[list[list[str]]]:
    """Returns the texts of every group, row and column; a number that stands alone in its column is not marked."""
    rows = [row for group in table.groups for row in group]
    marks = []
    for column in range(len(table.header)):
        numbers = [row[column].text for row in rows if row[column].is_ranked]
        is_falling = table.header[column] in FALLING
        best, second, *_ = [*sorted(set(numbers), key=float, reverse=not is_falling), "", ""]
        marks.append((best, second) if len(numbers) > 1 else ("", ""))

    def text(cell: Cell, best: str, second: str) -> str:
        shown = form.escape(cell.text)
        if cell.is_ranked and cell.text in (best, second):
            shown = form.best(shown) if cell.text == best else form.second(shown)
        references = ",".join(map(str, cell.footnotes))
        return shown + form.escape(cell.tail) + (form.footnote(references) if references else "")

    return [
        [[text(cell, *mark) for cell, mark in zip(row, marks, strict=True)] for row in group] for group in table.groups
    ]


def notes(table: Table, form: Format) -> list[str]:
    """Returns what stands below the table: its notes, then its footnotes with their numbers."""
    footnotes = [f"{form.footnote(str(number))} {form.escape(text)}" for number, text in enumerate(table.footnotes, 1)]
    return [*map(form.escape, table.notes), *footnotes]


def _for_a_page(table: Table) -> Table:
    """Returns the table with footnotes in place of the last columns, if these are texts that no page has room for.

    Such columns say how a row was made. The row begins with the number of its footnote.
    """
    kept = max(len(table.columns.rstrip("l")), 1)
    names = table.header[kept:]
    names = names if len(names) > 1 else ("",) * len(names)

    def told(row: list[Cell]) -> str:
        named = zip(names, row[kept:], strict=True)
        return ", ".join(f"{name} {cell.text}".strip() for name, cell in named if cell.text)

    texts = [told(row) for group in table.groups for row in group]
    if max(map(len, texts), default=0) <= LONG:
        return table
    footnotes = tuple(dict.fromkeys(text for text in texts if text))

    def for_a_page(row: list[Cell]) -> list[Cell]:
        text = told(row)
        added = (len(table.footnotes) + 1 + footnotes.index(text),) if text else ()
        return [replace(row[0], footnotes=(*row[0].footnotes, *added)), *row[1:kept]]

    return replace(
        table,
        header=table.header[:kept],
        columns=table.columns[:kept],
        groups=[[for_a_page(row) for row in group] for group in table.groups],
        footnotes=(*table.footnotes, *footnotes),
    )


def _latex_heading(text: str, side: str) -> str:
    lines = [_latex(line) for line in wrap(text, HEADING, break_long_words=False)]
    if len(lines) < 2:
        return _latex(text)
    stacked = r"\\".join(lines)
    return rf"\shortstack[{side}]{{{stacked}}}"


def _latex(text: str) -> str:
    special = {
        "±": r"$\pm$",
        "✓": r"$\checkmark$",
        "λ": r"$\lambda$",
        "μ": r"$\mu$",
        "→": r"$\rightarrow$",
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        ">": r"$>$",
        "<": r"$<$",
    }
    return "".join(special.get(letter, f"\\{letter}" if letter in "&%$#_{}" else letter) for letter in text)
