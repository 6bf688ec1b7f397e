"""``python -m stages.prepare NAME``: a data set -> ``data/prepared/NAME`` (image table and packed images)."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from stages.cli_errors import exit_on_user_error


def main() -> None:
    """Prepares the data set named on the command line, or checks it only."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a block of `prepare` in params.yaml")
    parser.add_argument("--check", action="store_true", help="only say what is wrong with it; status 1 if anything is")
    given = parser.parse_args()
    with exit_on_user_error():
        run(given.name, is_check=given.check)


def run(name: str, *, is_check: bool) -> None:
    """Prepares a data set, or only checks it, and says what is in it and what was found."""
    from pipeline.config import block, load, parse  # imported here, as in all stages, so that --help is instant
    from pipeline.datasets.prepare import PrepareParams, check, prepare, report_of
    from pipeline.images.table import count
    from pipeline.tracking.runs import stage_run

    params = parse(PrepareParams, block(load(), "prepare", name), f"prepare.{name}")
    folder = Path("data/prepared") / name
    if is_check:
        report = check(name, params, folder)
        print(f"{report}\nall of it: {report_of(folder)}")
        sys.exit(1 if report.errors else 0)
    with stage_run(stage="prepare", name=name, params=params.model_dump()) as tracked:
        table, report = prepare(name, params, folder)
        print(report)
        tracked.log_metrics(asdict(count(table)))


if __name__ == "__main__":
    main()
