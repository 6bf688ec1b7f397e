"""The sections that look at images and embeddings: ranked lists, attention, distances, maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.images.store import ImageStore
from pipeline.report import attention, distances, embedding_map, panels, pictures, ranked_lists
from pipeline.report.artifacts import Scored, Training, scored_images
from pipeline.report.numbers import Panel
from pipeline.training.checkpoint import open_checkpoint

ROWS_AT_MOST = 8  # the page says so
"""How many experiments of a data set are looked at: the first seed of each, those that came first."""
ATTENDED = 6


@dataclass(frozen=True)
class Thumb:
    """An image: ``mark`` is ✓, ✗ or nothing, ``caption`` its identity and camera."""

    uri: str
    mark: str
    caption: str
    is_right: bool = False


@dataclass(frozen=True)
class Row:
    """A query and its answers; ``words`` say how well it went."""

    kind: str
    words: str
    query: Thumb
    answers: list[Thumb]


@dataclass(frozen=True)
class Lists:
    """The ranked lists of one experiment; ``note`` says what the numbers beside them leave out."""

    name: str
    score: str
    note: str
    rows: list[Row]


@dataclass(frozen=True)
class Titled:
    """Something of a data set or search, under its title."""

    title: str
    parts: list[Lists]


@dataclass(frozen=True)
class Attended:
    """The attention of one experiment: for each image itself, then its maps, under the titles of ``header``.

    ``note`` says how coarse the maps are, or why there is none.
    """

    name: str
    note: str
    header: list[str]
    rows: list[list[Thumb]]


@dataclass(frozen=True)
class Spread:
    """Distances on one data set: for each kind of pairs a panel for each network.

    Where ``has_start``, the first network was not trained on it.
    """

    title: str
    has_start: bool
    kinds: dict[str, list[Panel]]


@dataclass(frozen=True)
class Maps:
    """Embeddings on a plane for the networks of one data set."""

    title: str
    is_infrared: bool
    panels: list[Panel]


def looked_at(scores: Sequence[Scored]) -> dict[tuple[str, str], list[Scored]]:
    """Returns the networks to look at by data set: the pretrained one first, one seed of each experiment."""
    found: dict[tuple[str, str], dict[str, Scored]] = {}
    for scored in sorted(scores, key=lambda scored: not scored.is_reference):
        if scored.has_embeddings and scored.name != "untrained":
            found.setdefault(scored.data, {}).setdefault(scored.any_result.experiment, scored)
    return {data: list(rows.values())[:ROWS_AT_MOST] for data, rows in found.items()}


def all_lists(networks: Sequence[Scored], store: ImageStore) -> list[Titled]:
    """Returns the ranked lists of each search of a data set; all networks are asked the queries of the best one."""
    images = scored_images(store)
    found = []
    for search in dict.fromkeys(search for scored in networks for search in scored.results):
        asked = sorted(
            (scored for scored in networks if search in scored.results),
            key=lambda scored: -scored.results[search].metrics["mAP"],
        )
        result = asked[0].results[search]
        found.append(Titled(f"{result.protocol.data}, {result.protocol.label}", _lists(asked, search, store, images)))
    return found


def _lists(asked: Sequence[Scored], search: str, store: ImageStore, images: np.ndarray) -> list[Lists]:
    first, table = asked[0].results[search], asked[0].rows()
    trial = ranked_lists.some_queries(ranked_lists.search_of(store.meta["protocol"], first.protocol), table)
    chosen: list[tuple[str, int]] = []
    found = []
    for scored in asked:
        result, embeddings = scored.results[search], scored.embeddings()
        distance = result.recipe.distance
        if not chosen:
            chosen = ranked_lists.choose(*ranked_lists.scores(trial, embeddings, distance))
        rows = [
            _row(ranked_lists.ranked_list(kind, trial, number, embeddings, distance), table, images)
            for kind, number in chosen
        ]
        score = f"rank-1 {100 * result.metrics['rank1']:.1f}, mAP {100 * result.metrics['mAP']:.1f}"
        changed = result.protocol.reranking or result.protocol.query_expansion != "none"
        changed = changed or result.protocol.postprocessing != "none"
        note = "By plain distances, without the steps after them that its scores contain." if changed else ""
        found.append(Lists(scored.name, score, note, rows))
    return found


def _row(found: ranked_lists.RankedList, table: pd.DataFrame, images: np.ndarray) -> Row:
    words = f"AP {100 * found.average_precision:.0f} %, first right answer at place {found.first_match}"
    words += f", {found.num_matches} to be found"
    answers = [
        Thumb(
            pictures.photo(images[answer.row]),
            "✓" if answer.is_right else "✗",
            _caption(table.iloc[answer.row]),
            answer.is_right,
        )
        for answer in found.answers
    ]
    query = Thumb(pictures.photo(images[found.query]), "", _caption(table.iloc[found.query]))
    return Row(found.kind, words, query, answers)


def _caption(image: pd.Series) -> str:
    who = "nobody" if image["person_id"] == 0 else str(image["person_id"])
    return f"{who} · c{image['camera_id']}{' IR' if image['modality'] == 'infrared' else ''}"


def all_attention(
    trainings: Mapping[str, Training], scores: Sequence[Scored], stores: Mapping[tuple[str, str], ImageStore]
) -> list[Attended]:
    """Returns the attention maps of every scored training of MDPR, first seeds only."""
    found = []
    for networks in looked_at(scores).values():
        for scored in networks:
            training, store = trainings.get(scored.name), stores.get(scored.data)
            if training and store and training.meta["experiment"]["method"] == "mdpr":
                found += _attended(training, store, scored.rows())
    return found


def _attended(training: Training, store: ImageStore, table: pd.DataFrame) -> list[Attended]:
    rows = np.flatnonzero(table["role"] == "query")
    rows = rows[np.linspace(0, len(rows) - 1, min(ATTENDED, len(rows))).astype(int)]
    images = scored_images(store)[rows]
    try:
        seen = attention.attend(open_checkpoint(training.folder), store, images)
    except ValueError as error:  # a checkpoint of other parameters than the code has now
        return [Attended(training.name, f"not shown: {error}", [], [])]
    if seen is None:
        return []
    columns = [(depth, index) for depth, maps in seen.maps.items() for index in range(maps.shape[1])]
    header = ["image", *(f"{'deep' if depth == 4 else 'shallow'} {index + 1}" for depth, index in columns)]
    thumbs = []
    for place, (row, image) in enumerate(zip(rows, images, strict=True)):
        shown = [Thumb(pictures.photo(image), "", _caption(table.iloc[row]))]
        for depth, index in columns:
            one = seen.maps[depth][place, index]
            shown.append(Thumb(pictures.photo(panels.overlay(image, one)), "", f"{one.min():.2f} to {one.max():.2f}"))
        thumbs.append(shown)
    height, width = seen.cells
    return [Attended(training.name, f"Maps of {height} x {width} cells.", header, thumbs)]


def spread(networks: Sequence[Scored]) -> Spread:
    """Returns the distances of pairs by each network of a data set."""
    found = {scored.name: distances.kinds_of_pairs(scored.embeddings(), scored.rows()) for scored in networks}
    kinds: dict[str, dict[str, distances.Pairs]] = {}
    for name, pairs in found.items():
        for kind, one in pairs.items():
            kinds.setdefault(kind, {})[name] = one
    shown = {kind: _histograms(kind, by_network) for kind, by_network in kinds.items()}
    return Spread(networks[0].data[0], networks[0].is_reference, shown)


def _histograms(kind: str, by_network: Mapping[str, distances.Pairs]) -> list[Panel]:
    """Returns a panel for each network, all on the same scales."""
    farthest = max(np.flatnonzero(pairs.same + pairs.other).max() for pairs in by_network.values()) + 1
    highest = 1.05 * max(max(pairs.same.max(), pairs.other.max()) for pairs in by_network.values())
    found = []
    for name, pairs in by_network.items():
        alt = (
            f"{name}, {kind}: distances of {pairs.num_same:,} pairs of one identity and {pairs.num_other:,} of two; "
            f"separation {pairs.separation:.3f}."
        )
        edges, same, other = distances.EDGES[: farthest + 1], pairs.same[:farthest], pairs.other[:farthest]
        uri = panels.histogram(edges, same, other, highest=highest)
        found.append(Panel(name, uri, alt, f"separation {pairs.separation:.3f}"))
    return found


def maps(networks: Sequence[Scored]) -> Maps:
    """Returns the embeddings of each network of a data set on a plane, of the same images."""
    table = networks[0].rows()
    rows, groups = embedding_map.shown_rows(table)
    is_infrared = (table["modality"] == "infrared").to_numpy()
    drawn = []
    for scored in networks:
        points = embedding_map.project(scored.embeddings()[rows])
        alt = f"Embeddings of {scored.name} on a plane: {groups.max() + 1} marked identities among {len(rows)} images."
        drawn.append(Panel(scored.name, panels.scatter(points, groups, is_infrared[rows]), alt))
    return Maps(networks[0].data[0], bool(is_infrared.any()), drawn)
