"""The metrics: what each is called, how tables call it, and how it comes of a ranking.

To add one is to add it here, and to test it: ``metrics.json``, ``results.csv``, all tables, the check against the
tracking store and the means over trials and seeds follow this list, in its order. The heading stands beside the name
for that reason, though only tables print it.

Every metric is a share in [0, 1]. Files hold it as it is, tables show it in percent, and differences are in points.

This module needs nothing but Python, so that tables are made in an instant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Ranked(Protocol):
    """What a metric is made of: see ``pipeline.evaluation.ranking.Ranking``; all arrays are ``[Q]``."""

    @property
    def average_precision(self) -> Any:
        """Average precision of each query."""

    @property
    def inverse_negative_penalty(self) -> Any:
        """Number of matches over the place of the last one."""

    @property
    def first_match(self) -> Any:
        """Place of the first match, from 1."""

    @property
    def is_valid(self) -> Any:
        """Whether the query has a match; the others are counted in no metric."""

    def cmc(self, rank: int) -> float:
        """Returns the share of valid queries whose first match stands at ``rank`` or before."""

    def mean(self, values: Any) -> float:
        """Returns the mean over the valid queries of what each has."""


@dataclass(frozen=True)
class Metric:
    """A share in [0, 1] of what an evaluation found.

    Attributes:
        name: its key in ``metrics.json``, in ``results.csv`` and in the tracking store.
        heading: what tables call it.
        of: takes it from a ranking; None for one that an evaluation measures elsewhere, under the same name, as the
            true positive rates of ``pipeline.scoring.comparison``.
        larger_is_better: which end of a column tables mark.
    """

    name: str
    heading: str
    of: Callable[[Ranked], float] | None
    larger_is_better: bool = True


METRICS = (
    Metric("rank1", "rank-1", lambda ranking: ranking.cmc(1)),
    Metric("rank5", "rank-5", lambda ranking: ranking.cmc(5)),
    Metric("rank10", "rank-10", lambda ranking: ranking.cmc(10)),
    Metric("rank20", "rank-20", lambda ranking: ranking.cmc(20)),
    Metric("mAP", "mAP", lambda ranking: ranking.mean(ranking.average_precision)),
    Metric("mINP", "mINP", lambda ranking: ranking.mean(ranking.inverse_negative_penalty)),
)
MAIN = "mAP"
"""The metric that orders rows and whose spread over trials or seeds is told."""

NAMES = tuple(metric.name for metric in METRICS)
HEADINGS = {metric.name: metric.heading for metric in METRICS}


def of_ranking(ranking: Ranked) -> dict[str, float]:
    """Returns all metrics that are made of a ranking, in [0, 1]."""
    return {metric.name: metric.of(ranking) for metric in METRICS if metric.of is not None}
