"""Makes tables and figures of what was evaluated, or of a study.

reads    artifacts/evaluate, artifacts/train/*/history.csv; with --study results/
writes   artifacts/tables (results, papers, figures); with --study artifacts/study, with the verdicts on the papers'
         claims and the differences between rows

--show only prints the last tables, --page FILE only puts them and the figures into a page that has marks for them, and
--check-tracking fails unless they hold what MLflow recorded.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.evaluation.stamp import Result
    from pipeline.tables.curves import Trained

SCORES, TRAININGS = Path("artifacts/evaluate"), Path("artifacts/train")
TABLES, STUDY = Path("artifacts/tables"), Path("artifacts/study")
PLACES = """tables: {0}/results.md, .tex, .csv    of the papers: {0}/papers/mdpr.md, mskd.md, smmd.md, .tex, .csv
figures: {0}/cmc.png, loss.png, clusters.png    runs: make ui"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what to make tables of, and what else to do with them."""
    parser.add_argument("--study", action="store_true", help="of the results of the study")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--show", action="store_true", help="only print the last tables")
    what.add_argument("--page", type=Path, help="only replace the result block of this page")
    what.add_argument("--check-tracking", action="store_true", help="only compare the last tables with MLflow")


def run(given: argparse.Namespace) -> None:
    """Makes the tables and figures, or does with the last ones what is asked for."""
    folder = STUDY if given.study else TABLES
    if given.check_tracking:
        if given.study:
            raise ValueError("--check-tracking is of the default run: a study keeps its numbers in results/ alone")
        check_tracking(folder)
    elif given.page:
        put_into(given.page, folder)
    elif given.show:
        show(folder)
    else:
        make(folder, study=given.study)


def make(folder: Path, *, study: bool) -> None:
    """Writes all tables and figures."""
    from pipeline.config import load
    from pipeline.experiments import compared
    from pipeline.tables.curves import draw_curves
    from pipeline.tables.differences import paired_differences, to_markdown
    from pipeline.tables.differences import write_csv as write_differences
    from pipeline.tables.results import collect, write_csv
    from pipeline.tables.study import write_claims
    from pipeline.tracking.runs import stage_run

    with stage_run(stage="tables", name="study" if study else "", params={}) as tracked:
        shutil.rmtree(folder, ignore_errors=True)
        files, trained = (studied if study else evaluated)()
        results = collect(files)
        write_csv(results, folder / "results.csv")
        write_tables(folder, folder)
        draw_curves(trained, folder)
        write_metrics(results, folder / "metrics")
        if study:
            pairs = [pair for pair in compared(load()) if share_a_seed(results, *pair)]
            rows = [row for pair in pairs for row in paired_differences(results, *pair, "mAP")]
            write_differences(rows, folder / "differences.csv")
            (folder / "differences.md").write_text(to_markdown(rows))
            write_claims(load(), folder)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            tracked.log_artifact(path)
    print(PLACES.format(folder))


def evaluated() -> tuple[list[Path], list[Trained]]:
    """Returns the scores of the default run, and its trainings."""
    from pipeline.tables.curves import Trained

    files = sorted(SCORES.rglob("metrics.json"))
    names = sorted({file.relative_to(SCORES).parts[0] for file in files})
    return files, [Trained(name, "", SCORES / name, TRAININGS / name / "history.csv") for name in names]


def studied() -> tuple[list[Path], list[Trained]]:
    """Returns the scores of the study's results that hold, and their trainings; says which are left out."""
    from pipeline.config import load
    from pipeline.results import found
    from pipeline.tables.curves import Trained

    places, left_out = found(load())
    if left_out:
        print("\n  ".join(["left out, until reid study makes them again:", *left_out]))
    files = [file for place in places for file in sorted(place.rglob("metrics.json"))]
    return files, [Trained(place.parent.name, place.name, place, place / "history.csv") for place in places]


def share_a_seed(results: Sequence[Result], one: str, other: str) -> bool:
    """Returns whether a study, which may not be at its end, has results of both for some seed."""
    seeds = [{result.seed for result in results if result.experiment == name} for name in (one, other)]
    return bool(seeds[0] & seeds[1])


def write_metrics(results: Sequence[Result], folder: Path) -> None:
    """Writes a small JSON file for each row, as ``dvc metrics`` reads them."""
    from pipeline.evaluation.metrics import NAMES
    from pipeline.tables.results import protocol_name

    digests: dict[tuple[str, str], set[str]] = {}
    for result in results:
        digests.setdefault((result.protocol.data, result.protocol.label), set()).add(result.protocol.digest)
    rows: dict[str, dict[str, Any]] = {}
    for result in results:
        row = rows.setdefault(f"{result.experiment}@{result.protocol.data}", {})
        is_one_of_several = len(digests[result.protocol.data, result.protocol.label]) > 1  # as of several splits
        label = protocol_name(result) if is_one_of_several else result.protocol.label
        row.setdefault(label, {})[f"seed {result.seed}"] = {name: result.metrics[name] for name in NAMES}
    folder.mkdir(parents=True)
    for name, values in rows.items():
        (folder / f"{name}.json").write_text(json.dumps(values, indent=2) + "\n")


def write_tables(made: Path, folder: Path) -> None:
    """Writes the tables of the last results in ``made``, and nothing else, to ``folder``."""
    from pipeline.tables.overview import build_tables
    from pipeline.tables.paper_tables import write_papers
    from pipeline.tables.papers import read_papers
    from pipeline.tables.published import read_published
    from pipeline.tables.render import to_latex, to_markdown
    from pipeline.tables.results import read_csv

    results, published = read_csv(made / "results.csv"), read_published()
    tables = build_tables(results, published)
    (folder / "results.md").write_text(to_markdown(tables))
    (folder / "results.tex").write_text(to_latex(tables))
    write_papers(read_papers(), results, published, folder / "papers")


def check_tracking(folder: Path) -> None:
    """Fails unless every number in the tables is in results.csv, in its metrics.json and in the run that made it."""
    from pipeline.tables.results import read_csv
    from pipeline.tables.tracked import STAGES, find_disagreements
    from pipeline.tracking.lookup import recorded_runs

    results = read_csv(folder / "results.csv")
    problems = list(find_disagreements(results, SCORES, sorted(SCORES.rglob("metrics.json")), recorded_runs(STAGES)))
    with tempfile.TemporaryDirectory() as again:
        write_tables(folder, Path(again))
        for file in sorted(file for file in Path(again).rglob("*") if file.is_file()):
            there = folder / file.relative_to(again)
            if not there.is_file() or there.read_bytes() != file.read_bytes():
                problems.append(f"{there} is not what results.csv gives: make the tables again")
    if problems:
        raise ValueError("\n  ".join(["the tables do not hold what MLflow recorded:", *problems]))
    print(f"the tables hold what MLflow recorded: {len(results)} results, each with its run")


def show(folder: Path) -> None:
    """Prints the last tables and where everything is."""
    from pipeline.tables.overview import build_tables
    from pipeline.tables.published import read_published
    from pipeline.tables.render import to_text
    from pipeline.tables.results import read_csv

    results = read_csv(folder / "results.csv")
    print(to_text(build_tables(results, read_published())))
    print(compared_with_git(results))
    print(PLACES.format(folder))


def compared_with_git(results: Sequence[Result]) -> str:
    """Returns whether data and protocols are those of the results that git keeps."""
    from pipeline.evaluation.stamp import read_result

    known: dict[tuple[str, str], set[str]] = {}
    for file in Path("results").rglob("metrics.json"):
        protocol = read_result(file).protocol
        known.setdefault((protocol.data, protocol.label), set()).add(protocol.digest)
    lines = set()
    for protocol in (result.protocol for result in results):
        digests = known.get((protocol.data, protocol.label), {protocol.digest})
        if protocol.digest not in digests:
            there = ", ".join(sorted(digests))
            lines.add(f"{protocol.data}, {protocol.label}: [{protocol.digest}] here, [{there}] in results/")
    if lines:
        return "\n  ".join(["of another world, so do not compare with what is in results/:", *sorted(lines)])
    return "data and protocols: those of results/" if known else "data and protocols: results/ holds none to compare"


def put_into(page: Path, folder: Path) -> None:
    """Replaces those blocks that a page has marks for by the last tables; their figures go beside the page."""
    from pipeline.tables.overview import build_tables
    from pipeline.tables.published import read_published
    from pipeline.tables.render import to_markdown
    from pipeline.tables.results import read_csv
    from pipeline.tables.study import fill_page

    results = to_markdown(build_tables(read_csv(folder / "results.csv"), read_published()))
    fill_page(page, folder, {"results": results})
