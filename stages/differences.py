"""``python -m stages.differences ONE:OTHER ...``: scores of several seeds -> ``artifacts/differences``."""

import argparse
from pathlib import Path

from stages.mistakes import told_plainly

SCORES, OUT = Path("artifacts/evaluate"), Path("artifacts/differences")


def main() -> None:
    """Compares the pairs of experiments named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="+", help="two experiments as ONE:OTHER; the difference is ONE less OTHER")
    given = parser.parse_args()
    if malformed := [pair for pair in given.pairs if pair.count(":") != 1]:
        parser.error(f"expected ONE:OTHER, got {', '.join(malformed)}")
    with told_plainly():
        run([tuple(pair.split(":")) for pair in given.pairs])


def run(pairs: list[tuple[str, ...]]) -> None:
    """Writes the differences in mAP and rank-1 over all evaluated seeds, and prints them."""
    from pipeline.evaluation.stamp import read_result
    from pipeline.tables.differences import paired_difference, to_markdown, write_csv
    from pipeline.tracking.runs import stage_run

    with stage_run(stage="differences", name="", params={}) as tracked:
        results = [read_result(path) for path in sorted(SCORES.glob("*/metrics.json"))]
        rows = [paired_difference(results, one, other, metric) for metric in ("mAP", "rank1") for one, other in pairs]
        write_csv(rows, OUT / "differences.csv")
        (OUT / "differences.md").write_text(to_markdown(rows))
        tracked.log_artifact(OUT / "differences.csv")
    print(to_markdown(rows))


if __name__ == "__main__":
    main()
