"""``python -m stages.differences ONE:OTHER ...``: scores of several seeds -> ``artifacts/differences`` or ``--out``."""

import argparse
from pathlib import Path

from stages.cli_errors import exit_on_user_error

SCORES, OUT = Path("artifacts/evaluate"), Path("artifacts/differences")


def main() -> None:
    """Compares the pairs of experiments named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="+", help="two experiments as ONE:OTHER; the difference is ONE less OTHER")
    parser.add_argument("--out", type=Path, default=OUT, help=f"where to write (default: {OUT})")
    given = parser.parse_args()
    if malformed := [pair for pair in given.pairs if pair.count(":") != 1]:
        parser.error(f"expected ONE:OTHER, got {', '.join(malformed)}")
    with exit_on_user_error():
        run([tuple(pair.split(":")) for pair in given.pairs], given.out)


def run(pairs: list[tuple[str, ...]], out: Path) -> None:
    """Writes the differences in mAP and rank-1 over all evaluated seeds, for every search, and prints them."""
    from pipeline.evaluation.stamp import read_result
    from pipeline.tables.differences import paired_differences, to_markdown, write_csv
    from pipeline.tracking.runs import stage_run

    with stage_run(stage="differences", name="", params={}) as tracked:
        results = [read_result(path) for path in sorted(SCORES.rglob("metrics.json"))]
        rows = [
            row
            for metric in ("mAP", "rank1")
            for one, other in pairs
            for row in paired_differences(results, one, other, metric)
        ]
        write_csv(rows, out / "differences.csv")
        (out / "differences.md").write_text(to_markdown(rows))
        tracked.log_artifact(out / "differences.csv")
    print(to_markdown(rows))


if __name__ == "__main__":
    main()
