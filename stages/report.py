"""``python -m stages.report [EXPERIMENT ...]``: all that was made -> ``artifacts/report/index.html``, one page.

Without names, of everything in ``artifacts/evaluate``.
"""

import argparse
from pathlib import Path

from stages.cli_errors import exit_on_user_error

SCORES, TRAININGS, PREPARED = Path("artifacts/evaluate"), Path("artifacts/train"), Path("data/prepared")
PAGE = Path("artifacts/report/index.html")


def main() -> None:
    """Makes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="experiments and references that have been evaluated")
    given = parser.parse_args()
    with exit_on_user_error():
        run(given.names)


def run(names: list[str]) -> None:
    """Writes the page and says where it is."""
    from pipeline.report.artifacts import read_artifacts
    from pipeline.report.page import render
    from pipeline.tracking import usage
    from pipeline.tracking.runs import stage_run, usage_folder

    with stage_run(stage="report", name="", params={}) as tracked:
        made = read_artifacts(SCORES, TRAININGS, PREPARED, names)
        page = render(made, usage.read(usage_folder()))
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page)
        tracked.log_artifact(PAGE)
    print(f"report: {PAGE.absolute().as_uri()}")


if __name__ == "__main__":
    main()
