"""All that is there as one HTML page that needs no other file and no network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.evaluation.stamp import Result
from pipeline.report import cards, costs, images, numbers
from pipeline.report.artifacts import Artifacts, Scored, Training
from pipeline.tables.figures import looks
from pipeline.tables.overview import build_tables
from pipeline.tables.paper_tables import tables_of
from pipeline.tables.papers import read_papers
from pipeline.tables.published import Published, read_published
from pipeline.tables.results import collect
from pipeline.tracking.usage import Usage

HERE = Path(__file__).parent
TEMPLATE, STYLE = "page.html", "page.css"


def render(given: Artifacts, usages: Sequence[Usage]) -> str:
    """Returns the page; the same inputs give the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["duration"] = costs.in_words
    page = environment.get_template(TEMPLATE).render(
        style=Markup((HERE / STYLE).read_text()), **sections(given, usages)
    )
    return f"{page.rstrip()}\n"


def sections(given: Artifacts, usages: Sequence[Usage]) -> dict[str, Any]:
    """Returns what the template shows, by the names it knows; a section with nothing in it is left out of the page."""
    scored = [one.name for one in given.scores if one.name in given.trainings]
    look = looks([*scored, *given.trainings])
    looked_at = images.looked_at(given.scores)
    networks = [(data, rows) for data, rows in looked_at.items()]
    with_images = [(rows, given.stores[data]) for data, rows in networks if data in given.stores]
    own_cards = model_cards(given)
    results = collect([file for one in given.scores for file in one.files])
    published = read_published()
    return {
        "results": numbers.grids(build_tables(results, published)),
        "papers": paper_tables(results, published),
        "losses": numbers.training_panels(given.trainings, look),
        "cmc": numbers.cmc_panels(given.scores, look),
        "cmc_legend": numbers.legend(scored, look),
        "clusters": numbers.cluster_panels(given.trainings, look),
        "clusters_legend": numbers.legend(numbers.clustered_names(given.trainings), look),
        "lists": [lists for rows, store in with_images for lists in images.all_lists(rows, store)],
        "attention": images.all_attention(given.trainings, given.scores, given.stores),
        "distances": [images.spread(rows) for _, rows in networks],
        "maps": [images.maps(rows) for _, rows in networks],
        "costs": costs.costs(usages, given.trainings),
        "examined": given.examined,
        "provenance": provenance(given.trainings),
        "versions": versions(given.trainings),
        "stamps": stamps(given.scores),
        "cards": own_cards,
        "citations": list({key: entry for card in own_cards for key, entry in card.citations.items()}.items()),
        "summary": summary(given),
    }


def paper_tables(results: Sequence[Result], published: list[Published]) -> list[dict[str, Any]]:
    """Returns title, notes and tables of every paper."""
    papers = read_papers()
    return [
        {
            "title": paper.title,
            "notes": paper.notes,
            "tables": numbers.grids(tables_of(paper, results, published, papers.tolerance)),
        }
        for paper in papers.papers.values()
    ]


def summary(given: Artifacts) -> list[dict[str, Any]]:
    """Returns for each data set and search the experiment with the highest mAP."""
    by_place: dict[str, list[tuple[str, Result]]] = {}
    for scored in given.scores:
        for result in scored.results.values():
            place = f"{result.protocol.data}, {result.protocol.label}"
            by_place.setdefault(place, []).append((scored.name, result))
    found = []
    for place, scored_there in sorted(by_place.items()):
        name, best = max(scored_there, key=lambda pair: pair[1].metrics["mAP"])
        values = {metric: f"{100 * best.metrics[metric]:.1f}" for metric in ("mAP", "rank1")}
        kind = "generated images" if best.protocol.is_generated else "real images"
        found.append({"place": place, "name": name, "among": len(scored_there), "kind": kind, **values})
    return found


def model_cards(given: Artifacts) -> list[cards.Card]:
    """Returns the card of every training."""
    generated = {store.meta["fingerprint"] for store in given.stores.values() if store.meta["generated"]}
    return [
        cards.make_card(training, [one for one in given.scores if one.name == name], generated)
        for name, training in given.trainings.items()
    ]


def provenance(trainings: Mapping[str, Training]) -> list[dict[str, str]]:
    """Returns what each checkpoint says of where it comes from."""
    return [
        {
            "name": name,
            "commit": str(training.meta["commit"]),
            "code": str(training.meta["code"]),
            "data": str(training.meta["data"]),
            "start": str(training.meta["start"]),
            "weights": str(training.meta["files"]["model.safetensors"]),
            "run": str(training.meta.get("tracking_run") or "not recorded"),
        }
        for name, training in trainings.items()
    ]


def versions(trainings: Mapping[str, Training]) -> dict[str, str]:
    """Returns the version of each package that trainings ran with; several where they differ."""
    found: dict[str, list[str]] = {}
    for training in trainings.values():
        for package, version in training.meta["versions"].items():
            found.setdefault(package, []).append(str(version))
    return {package: ", ".join(dict.fromkeys(given)) for package, given in sorted(found.items())}


def stamps(scores: Sequence[Scored]) -> list[tuple[str, str]]:
    """Returns title and JSON of every protocol by which something was measured."""
    found = {}
    for scored in scores:
        for result in scored.results.values():
            protocol = result.protocol
            title = f"{protocol.data}, {protocol.label} [{protocol.digest}]"
            found[title] = json.dumps(asdict(protocol), indent=1)
    return list(found.items())
