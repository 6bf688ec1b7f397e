"""The sections of numbers and curves: results, trainings, CMC, clusters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from pipeline.report import panels
from pipeline.report.artifacts import Scored, Training
from pipeline.tables.figures import Curve, Look
from pipeline.tables.render import Format, Table, notes, texts

HTML = Format("<strong>{}</strong>".format, "<u>{}</u>".format, "<sup>{}</sup>".format, lambda text: str(escape(text)))

CLUSTER_MEASURES = {
    "num_clusters": ("Clusters", "how many were found"),
    "noise": ("Noise", "share of images in no cluster"),
    "ari": ("Adjusted Rand index", "agreement with the true identities; 1 is perfect, 0 chance"),
    "nmi": ("Normalised mutual information", "agreement with the true identities; 1 is perfect"),
    "bcubed_f": ("BCubed F", "agreement with the true identities, image by image"),
    "camera_entropy": ("Camera entropy", "1 where the images of a cluster come from all cameras alike"),
    "churn": ("Churn", "share of images that changed their cluster since the epoch before"),
}


@dataclass(frozen=True)
class Panel:
    """A figure: ``uri`` its image, ``alt`` what it shows in words."""

    title: str
    uri: str
    alt: str
    note: str = ""


@dataclass(frozen=True)
class Grid:
    """A table: its title, header and notes as text, ``columns`` with l or r for each, groups of rows of HTML cells."""

    title: str
    header: Sequence[str]
    columns: str
    groups: list[list[list[Markup]]]
    notes: list[Markup]


def grids(tables: Iterable[Table]) -> list[Grid]:
    """Returns tables as a page has them: the best number of a column bold, the second best underlined."""
    return [
        Grid(
            table.title,
            table.header,
            table.columns,
            [[[Markup(cell) for cell in row] for row in group] for group in texts(table, HTML)],
            [Markup(note) for note in notes(table, HTML)],
        )
        for table in tables
    ]


def training_panels(trainings: Mapping[str, Training], look: Mapping[str, Look]) -> list[Panel]:
    """Returns the loss of each experiment by epoch, each in a panel of its own: scales differ."""
    found = []
    for name, training in trainings.items():
        curve = training.curve("loss")
        losses = curve[1]
        alt = f"Training loss of {name}: {losses[0]:.3g} in epoch 1, {losses[-1]:.3g} in epoch {len(losses)}."
        uri = panels.curves({name: curve}, look, x="epoch", y="loss")
        found.append(Panel(name, uri, alt, f"{losses[0]:.3g} → {losses[-1]:.3g}"))
    return found


def cmc_panels(scores: Sequence[Scored], look: Mapping[str, Look]) -> list[Panel]:
    """Returns the CMC of the trained networks: a panel for each data set and search."""
    by_place: dict[tuple[tuple[str, str], str], dict[str, Curve]] = {}
    titles = {}
    for scored in scores:
        for search, result in scored.results.items():
            if scored.name in look and (curve := scored.curve(search))[0]:
                by_place.setdefault((scored.data, search), {})[scored.name] = curve
                titles[scored.data, search] = f"{result.protocol.data}, {result.protocol.label}"
    found = []
    for place, curves in by_place.items():
        worst, best = (pick(ys[0] for _, ys in curves.values()) for pick in (min, max))
        alt = f"CMC on {titles[place]}: {len(curves)} experiments, between {worst:.1%} and {best:.1%} at rank 1."
        uri = panels.curves(curves, look, x="rank", y="share of queries matched", from_zero=False, marks=False)
        found.append(Panel(titles[place], uri, alt))
    return found


def cluster_panels(trainings: Mapping[str, Training], look: Mapping[str, Look]) -> list[Panel]:
    """Returns the quality of the clusters of every training without labels, a panel for each measure."""
    clustered = {name: training for name, training in trainings.items() if training.curve("num_clusters")[0]}
    found = []
    for column, (title, note) in CLUSTER_MEASURES.items():
        curves = {name: training.curve(column) for name, training in clustered.items()}
        curves = {name: curve for name, curve in curves.items() if curve[0]}
        if curves:
            ends = ", ".join(f"{name} {ys[-1]:.3g}" for name, (_, ys) in curves.items())
            uri = panels.curves(curves, look, x="epoch", y="")
            found.append(Panel(title, uri, f"{title} by epoch; in the last: {ends}.", note))
    return found


def clustered_names(trainings: Mapping[str, Training]) -> list[str]:
    """Returns the trainings that made clusters."""
    return [name for name, training in trainings.items() if training.curve("num_clusters")[0]]


def legend(names: Iterable[str], look: Mapping[str, Look]) -> list[tuple[str, str]]:
    """Returns the experiments of these names, each with a line in its look."""
    return [(name, panels.swatch(look[name])) for name in names]
