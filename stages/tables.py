"""Makes the result tables from every metrics.json: ``python -m stages.tables [--readme README.md]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.tables.published import read_published
from pipeline.tables.render import build_tables, replace_readme_block, to_latex, to_markdown, to_text
from pipeline.tables.results import collect, read_csv, write_csv
from pipeline.tracking.runs import stage_run
from stages.mistakes import told_plainly

RESULTS, TABLES = Path("artifacts/evaluate"), Path("artifacts/tables")


def main() -> None:
    """Writes results.csv, results.md and results.tex and prints the tables; or puts them into the README."""
    parser = argparse.ArgumentParser(description="Make the result tables.")
    parser.add_argument("--readme", type=Path, help="only replace the result block of this file, from results.csv")
    given = parser.parse_args()
    with told_plainly():
        if given.readme:
            put_into(given.readme)
        else:
            run()


def run() -> None:
    """Writes all tables and prints them."""
    with stage_run(stage="tables", name="", params={}) as tracked:
        write_csv(collect(RESULTS), TABLES / "results.csv")
        tables = build_tables(read_csv(TABLES / "results.csv"), read_published())
        (TABLES / "results.md").write_text(to_markdown(tables))
        (TABLES / "results.tex").write_text(to_latex(tables))
        for name in ("results.csv", "results.md"):
            tracked.log_artifact(TABLES / name)
    print(to_text(tables))
    print(f"tables: {TABLES}/results.csv, results.md, results.tex    runs: make ui")


def put_into(readme: Path) -> None:
    """Replaces the result block of a README by the last tables."""
    tables = build_tables(read_csv(TABLES / "results.csv"), read_published())
    readme.write_text(replace_readme_block(readme.read_text(), to_markdown(tables)))


if __name__ == "__main__":
    main()
