"""What several seeds, or splits, say: mean, spread and confidence interval, and the verdict on a published number."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """Mean over ``num_seeds``, or splits; a single one has neither a standard deviation (n - 1) nor an interval."""

    mean: float
    std: float | None
    low: float | None
    high: float | None
    num_seeds: int


@dataclass(frozen=True)
class Verdict:
    """Whether a published number was ``reproduced``, or ours is ``below`` or ``above`` it, and by how much.

    ``is_covered`` says whether the interval of ours holds the published number, None where there is no interval.
    """

    word: str
    difference: float
    is_covered: bool | None

    def __str__(self) -> str:
        interval = {None: "one seed: no interval", True: "interval covers it", False: "interval does not cover it"}
        return f"{self.word} ({self.difference:+.1f}; {interval[self.is_covered]})"


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Returns what seeds with these scores say of the mean; its interval is Student's t with n - 1 degrees of freedom.

    >>> estimate([60.0, 61.0, 62.0])
    Estimate(mean=61.0, std=1.0, low=58.515..., high=63.484..., num_seeds=3)
    """
    return _estimate(values, 0.0, confidence)


def estimate_over_splits(
    splits: Sequence[Sequence[float]], *, test_to_train: float, confidence: float = CONFIDENCE
) -> Estimate:
    """Returns what scores on random splits of the same persons say of the mean; each split has those of its seeds.

    Such splits share persons, so their scores are no independent draws, and the plain interval is too narrow. This is
    the corrected resampled t (Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 2003): the
    variance of the mean over n splits is that of the splits, times 1/n and how many are tested for each that trains.
    Seeds are averaged within a split first; ``num_seeds`` is the number of splits.

    >>> estimate_over_splits([[59.0, 61.0], [61.0], [62.0]], test_to_train=1.0)
    Estimate(mean=61.0, std=1.0, low=56.031..., high=65.968..., num_seeds=3)
    """
    return _estimate([statistics.fmean(seeds) for seeds in splits], test_to_train, confidence)


def _estimate(values: Sequence[float], shared: float, confidence: float) -> Estimate:
    mean, num = statistics.fmean(values), len(values)
    if num == 1:
        return Estimate(mean, None, None, None, 1)
    std = statistics.stdev(values)
    half = student_t(num - 1, (1 + confidence) / 2) * std * (1 / num + shared) ** 0.5
    return Estimate(mean, std, mean - half, mean + half, num)


def student_t(freedom: int, quantile: float) -> float:
    """Returns the quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, quantile))


def judge(ours: Estimate, published: float, tolerance: float) -> Verdict:
    """Returns the verdict on ``published``, which counts as reproduced within ``tolerance`` (in the same unit).

    The interval is told apart from the verdict: few seeds make it so wide that it covers nearly everything.
    """
    difference = ours.mean - published
    word = "reproduced" if abs(difference) <= tolerance else "below" if difference < 0 else "above"
    covered = None if ours.low is None or ours.high is None else ours.low <= published <= ours.high
    return Verdict(word, difference, covered)
