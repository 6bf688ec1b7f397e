"""How far one experiment is above another, seed by seed: what both owe to a seed cancels out."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.evaluation.stamp import Result, check_equal_protocols

COLUMNS = ("one", "other", "protocol", "metric", "seeds", "mean", "std", "differences")


@dataclass(frozen=True)
class Difference:
    """``one`` less ``other`` in a metric of [0, 1], by the protocol of that label: ``values`` has one for each seed."""

    one: str
    other: str
    protocol: str
    metric: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        """Standard deviation over the seeds (n - 1), None for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


def paired_differences(results: Iterable[Result], one: str, other: str, metric: str) -> list[Difference]:
    """Returns the difference of two experiments over the seeds that both of them have, for each search of the data.

    Raises:
        ValueError: when they share no seed, or were measured by different protocols.
    """
    by_label: dict[str, list[Result]] = {}
    for result in results:
        if result.experiment in (one, other):
            by_label.setdefault(result.protocol.label, []).append(result)
    found = []
    for label, rows in sorted(by_label.items()):
        scores = {(row.experiment, row.seed): row.metrics[metric] for row in rows}
        seeds = sorted({seed for _, seed in scores if (one, seed) in scores and (other, seed) in scores})
        if seeds:
            check_equal_protocols(rows)
            values = tuple(scores[one, seed] - scores[other, seed] for seed in seeds)
            found.append(Difference(one, other, label, metric, tuple(seeds), values))
    if not found:
        raise ValueError(f"{one} and {other} share no seed: evaluate both with the same seeds first")
    return found


def to_markdown(differences: Sequence[Difference]) -> str:
    """Returns a table in points (hundredths), with the difference of every seed."""
    lines = ["| difference | protocol | metric | mean ± std | by seed |", "| --- | --- | --- | ---: | --- |"]
    for row in differences:
        spread = "" if row.std is None else f" ± {100 * row.std:.1f}"
        by_seed = ", ".join(f"{100 * value:+.1f} ({seed})" for seed, value in zip(row.seeds, row.values, strict=True))
        name = f"{row.one} - {row.other} | {row.protocol}"
        lines.append(f"| {name} | {row.metric} | {100 * row.mean:+.1f}{spread} | {by_seed} |")
    return "\n".join(lines) + "\n"


def write_csv(differences: Iterable[Difference], path: Path) -> None:
    """Ensures that ``path`` holds the differences, not in points but as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in differences:
            seeds, values = (" ".join(map(str, column)) for column in (row.seeds, row.values))
            writer.writerow([row.one, row.other, row.protocol, row.metric, seeds, row.mean, row.std or "", values])


def read_csv(path: Path) -> list[Difference]:
    """Returns the differences that ``write_csv`` wrote."""
    with path.open(newline="") as file:
        return [
            Difference(
                one=row["one"],
                other=row["other"],
                protocol=row["protocol"],
                metric=row["metric"],
                seeds=tuple(int(seed) for seed in row["seeds"].split()),
                values=tuple(float(value) for value in row["differences"].split()),
            )
            for row in csv.DictReader(file)
        ]
