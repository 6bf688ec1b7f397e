"""``python -m stages.tables [EXPERIMENT ...]``: ``metrics.json`` files -> ``artifacts/tables`` or ``--out``.

Without names, of everything in ``artifacts/evaluate``. ``--show`` only prints the last tables, ``--readme FILE`` only
puts them into a README (with ``--differences``, below them, what ``stages.differences`` found in mAP),
``--check-tracking`` fails unless the last tables hold what MLflow recorded, and nothing else.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from stages.cli_errors import exit_on_user_error

SCORES, TRAININGS, TABLES = Path("artifacts/evaluate"), Path("artifacts/train"), Path("artifacts/tables")
PLACES = """tables: {0}/results.md, .tex, .csv    of the papers: {0}/papers/mdpr.md, mskd.md, smmd.md, .tex, .csv
figures: {0}/cmc.png, loss.png, clusters.png    runs: make ui
all of it as one page (python -m stages.report): artifacts/report/index.html"""


def main() -> None:
    """Makes the tables and figures, or puts the tables into the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="experiments and references that have been evaluated")
    parser.add_argument("--seeds", nargs="+", type=int, default=[], help="also these seeds of the experiments")
    parser.add_argument("--out", type=Path, default=TABLES, help=f"the folder of the tables (default: {TABLES})")
    parser.add_argument("--show", action="store_true", help="only print the last tables")
    parser.add_argument("--readme", type=Path, help="only replace the result block of this file")
    parser.add_argument("--differences", nargs="+", type=Path, default=[], help="for --readme: differences.csv files")
    parser.add_argument("--check-tracking", action="store_true", help="only compare the last tables with MLflow")
    given = parser.parse_args()
    with exit_on_user_error():
        if given.check_tracking:
            check_tracking(given.out)
        elif given.readme:
            put_into(given.readme, given.out, given.differences)
        elif given.show:
            show(given.out)
        else:
            there = sorted(path.name for path in SCORES.iterdir()) if SCORES.is_dir() else []
            run(with_seeds(given.names, given.seeds) or there, given.out)


def with_seeds(names: list[str], seeds: list[int]) -> list[str]:
    """Returns the names, each experiment followed by its other seeds; references have none."""
    from pipeline.tables.results import REFERENCES

    def others(name: str) -> list[int]:
        return [] if name.partition("@")[0] in REFERENCES else seeds

    return [every for name in names for every in (name, *(f"{name}_seed{seed}" for seed in others(name)))]


def run(names: list[str], folder: Path = TABLES) -> None:
    """Writes all tables and figures."""
    from pipeline.tables.curves import draw_curves, find_scores
    from pipeline.tables.results import collect, write_csv
    from pipeline.tracking.runs import stage_run

    with stage_run(stage="tables", name="", params={}) as tracked:
        write_csv(collect(find_scores(SCORES, names)), folder / "results.csv")
        write_tables(folder, folder)
        draw_curves(names, scores=SCORES, trainings=TRAININGS, folder=folder)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            tracked.log_artifact(path)
    print(PLACES.format(folder))


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

    print(to_text(build_tables(read_csv(folder / "results.csv"), read_published())))
    print(PLACES.format(folder))


def put_into(readme: Path, folder: Path, differences: list[Path]) -> None:
    """Replaces the result block of a README by the last tables, and by the differences in mAP."""
    from pipeline.tables import render
    from pipeline.tables.differences import read_csv as read_differences
    from pipeline.tables.differences import to_markdown
    from pipeline.tables.overview import build_tables
    from pipeline.tables.published import read_published
    from pipeline.tables.results import read_csv

    block = render.to_markdown(build_tables(read_csv(folder / "results.csv"), read_published()))
    found = [row for path in differences for row in read_differences(path) if row.metric == "mAP"]
    if found:
        block += f"\n**Differences, paired by seed, in points**\n\n{to_markdown(found)}"
    readme.write_text(render.replace_readme_block(readme.read_text(), block))


if __name__ == "__main__":
    main()
