"""``python -m stages.prepare NAME``: a data set -> ``data/prepared/NAME`` (image table and packed images)."""

import argparse
from dataclasses import asdict
from pathlib import Path

from stages.mistakes import told_plainly


def main() -> None:
    """Prepares the data set named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a block of `prepare` in params.yaml")
    given = parser.parse_args()
    with told_plainly():
        run(given.name)


def run(name: str) -> None:
    """Prepares a data set and says what is in it."""
    from pipeline.config import block, load, parse  # imported here, as in all stages, so that --help is instant
    from pipeline.data.prepare import PrepareParams, prepare
    from pipeline.data.table import count, summary
    from pipeline.tracking.runs import stage_run

    params = parse(PrepareParams, block(load(), "prepare", name), f"prepare.{name}")
    with stage_run(stage="prepare", name=name, params=params.model_dump()) as tracked:
        table, notes = prepare(name, params, Path("data/prepared") / name)
        print("\n".join([summary(table), *(f"note: {note}" for note in notes)]))
        tracked.log_metrics(asdict(count(table)))


if __name__ == "__main__":
    main()
