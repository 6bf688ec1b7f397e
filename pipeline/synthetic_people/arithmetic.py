"""Functions that have the same bits on every processor, of arrays and of floats.

numpy and the C library choose another sine or exponential for each processor, and they round differently. These are
made of what IEEE 754 rounds exactly: sums, products, quotients, square roots, powers of two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import copysign, factorial, floor, fsum, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TURN = 2 * 3.141592653589793
LOG_2 = 0.6931471805599453


def _polynomial(value: Any, coefficients: Sequence[float]) -> Any:
    """Returns a polynomial by Horner's rule; the coefficient of the highest power comes first."""
    total = coefficients[0] * value + coefficients[1]
    for coefficient in coefficients[2:]:
        total = total * value + coefficient
    return total


def sine(angle: Any) -> Any:
    """Returns the sine of radians, by Taylor's polynomial on a quarter turn; off by 6e-8 at most."""
    return _sine_of(angle) if isinstance(angle, float) else np.copysign(*_sine(angle, np.floor))


@lru_cache(maxsize=1024)
def _sine_of(angle: float) -> float:
    """Returns the sine of a float, of which few are asked for many times."""
    return copysign(*_sine(angle, floor))


def _sine(angle: Any, floor: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Returns the size of the sine, and a number that has its sign."""
    turns = angle * (1 / TURN)
    turns = turns - floor(turns + 0.5)
    folded = (0.25 - abs(abs(turns) - 0.25)) * TURN
    square = folded * folded
    return folded * _polynomial(square, (-1 / 39916800, 1 / 362880, -1 / 5040, 1 / 120, -1 / 6, 1.0)), turns


def cosine(angle: Any) -> Any:
    """Returns the cosine of radians."""
    return sine(angle + TURN / 4)


def arcsine(value: Array) -> Array:
    """Returns radians whose sine is given, within 7e-5 (Abramowitz and Stegun, 4.4.45)."""
    size = abs(value)
    rest = np.sqrt(1 - size) * _polynomial(size, (-0.0187293, 0.0742610, -0.2121144, 1.5707288))
    return np.copysign(TURN / 4 - rest, value)


def direction(y: Any, x: Any) -> Any:
    """Returns the angle of the point (x, y) in radians, within 1e-5 (Abramowitz and Stegun, 4.4.49)."""
    high, low = np.maximum(abs(y), abs(x)), np.minimum(abs(y), abs(x))
    ratio = low / np.where(high > 0, high, 1)
    angle = ratio * _polynomial(ratio * ratio, (0.0208351, -0.0851330, 0.1801410, -0.3302995, 0.9998660))
    angle = np.where(abs(y) > abs(x), TURN / 4 - angle, angle)
    return np.copysign(np.where(x < 0, TURN / 2 - angle, angle), y)


def exponential(value: Any) -> Any:
    """Returns the exponential in float64, within 1e-13 of itself."""
    exponent = np.floor(np.asarray(value, np.float64) * (1 / LOG_2) + 0.5)
    rest = value - exponent * LOG_2
    found = np.ldexp(_polynomial(rest, [1 / factorial(n) for n in range(12, -1, -1)]), exponent.astype(int))
    return float(found) if found.ndim == 0 else found


def logarithm(value: Any) -> Array:
    """Returns the natural logarithm of positive numbers in float64, within 1e-12."""
    part, exponent = np.frexp(np.asarray(value, np.float64))
    low = part < sqrt(0.5)
    part, exponent = np.where(low, 2 * part, part), np.where(low, exponent - 1, exponent)
    ratio = (part - 1) / (part + 1)
    return 2 * ratio * _polynomial(ratio * ratio, [1 / n for n in range(17, 0, -2)]) + exponent * LOG_2


def power(base: Any, exponent: Any) -> Any:
    """Returns base to the exponent in float64, for base >= 0 and exponent > 0."""
    return (
        _power_of(base, exponent) if isinstance(base, float) and isinstance(exponent, float) else _power(base, exponent)
    )


def _power(base: Any, exponent: Any) -> Array:
    """Returns arrays of powers."""
    there = np.asarray(base) > 0
    return np.asarray(exponential(exponent * logarithm(np.where(there, base, 1.0))) * there)


@lru_cache(maxsize=1024)
def _power_of(base: float, exponent: float) -> float:
    """Returns the power of a float, of which few are asked for many times."""
    return float(_power(base, exponent))


def bell(square: Any) -> Any:
    """Returns about exp(-square), by products alone; 0 from 16 on."""
    value = np.maximum(1 - square * (1 / 16), 0)
    for _ in range(4):
        value = value * value
    return value


def interpolate(value: Array, knots: Any, values: Any) -> Array:
    """Returns what lies on straight lines between ``values`` at rising ``knots``; beyond the ends, the end's."""
    knots, values = np.asarray(knots, np.float64), np.asarray(values, np.float64)
    left = np.clip(np.searchsorted(knots, value, side="right") - 1, 0, len(knots) - 2)
    share = np.clip((value - knots[left]) / (knots[left + 1] - knots[left]), 0, 1)
    return values[left] + share * (values[left + 1] - values[left])


def enlarged(coarse: Array, size: int) -> Array:
    """Returns a texture that repeats at its edges [r, c] as a smooth one [size, size], by cubic convolution."""
    for _ in range(2):
        rows = len(coarse)
        place = (np.arange(size) + 0.5) * (rows / size) - 0.5
        first = np.floor(place)
        t = (place - first)[:, None]
        row = first.astype(int) - 1
        weights = (
            ((-0.5 * t + 1) * t - 0.5) * t,
            (1.5 * t - 2.5) * t * t + 1,
            ((-1.5 * t + 2) * t + 0.5) * t,
            (0.5 * t - 0.5) * t * t,
        )
        total = weights[0] * coarse[row % rows]
        for tap in (1, 2, 3):
            total = total + weights[tap] * coarse[(row + tap) % rows]
        coarse = total.T
    return coarse


def standardised(values: Array) -> Array:
    """Returns values [h, w] over their root mean square, in float32."""
    return (values / sqrt(fsum((values * values).ravel()) / values.size)).astype(np.float32)
