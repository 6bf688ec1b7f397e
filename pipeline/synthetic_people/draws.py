"""Random draws that are the same on every machine and under every version of numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
UNIT = sqrt(3) * 2.0**-16
"""What makes the deviation of a sum of four 16-bit integers 1."""


class Draws:
    """A stream of draws of one thing, named by integers.

    numpy promises the integers of PCG64 for good, but neither the numbers that its generators make of them nor their
    last bits; so these are made here, by integers and exactly rounded sums and products.
    """

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def random(self) -> float:
        """Returns a number from [0, 1), a multiple of 2**-53."""
        return (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def uniform(self, low: float, high: float) -> float:
        """Returns a number between two others."""
        return low + (high - low) * self.random()

    def normal(self, mean: float, deviation: float) -> float:
        """Returns a number about ``mean``, distributed as those of ``normals`` are."""
        word = int(self._bits.random_raw())
        total = (word & 0xFFFF) + (word >> 16 & 0xFFFF) + (word >> 32 & 0xFFFF) + (word >> 48)
        return mean + deviation * ((total - 2 * 0xFFFF) * UNIT)

    def normals(self, *shape: int) -> NDArray[np.float64]:
        """Returns nearly normal numbers of unit deviation: each is the sum of four uniform ones, at most 3.5 from 0."""
        words = self._bits.random_raw(int(np.prod(shape))).astype("<u8")
        total = words.view("<u2").reshape(-1, 4) @ np.ones(4, np.int64)
        return ((total - 2 * 0xFFFF) * UNIT).reshape(shape)

    def integer(self, low: int, high: int) -> int:
        """Returns an integer from ``low`` to below ``high``."""
        return low + (int(self._bits.random_raw()) * (high - low) >> 64)

    def choice(self, among: Sequence[T]) -> T:
        """Returns one of several."""
        return among[self.integer(0, len(among))]

    def weighted(self, weights: Mapping[T, int]) -> T:
        """Returns one key, drawn in proportion to its weight."""
        left = self.integer(0, sum(weights.values()))
        for key, weight in weights.items():
            left -= weight
            if left < 0:
                return key
        raise AssertionError("weights are integers above 0")

    def shuffled(self, among: Sequence[T]) -> list[T]:
        """Returns all of several in a random order."""
        order: list[Any] = np.argsort(self._bits.random_raw(len(among)), kind="stable").tolist()
        return [among[place] for place in order]
