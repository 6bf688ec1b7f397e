"""Cuts a comparison of all rows with all rows into pieces of bounded size, in which every pair of rows meets."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np


@dataclass(frozen=True)
class Piece:
    """Blocks of ``rows`` that are compared with blocks of ``columns``, or, where these are None, among themselves."""

    rows: tuple[slice, ...]
    columns: tuple[slice, ...] | None = None


def pieces_within(num_rows: int, rows_at_once: int) -> list[Piece]:
    """Returns pieces of at most ``rows_at_once`` rows in which all pairs of ``num_rows`` rows meet.

    The rows are cut into q^2 + q + 1 blocks, the points of the projective plane of a prime order q, and a piece is a
    line of it: q + 1 blocks, about ``num_rows / q`` rows. Two blocks share exactly one line, so only pairs within a
    block are met again; all pieces together cost (q + 1)^2 / (q^2 + q + 1) of one comparison of all pairs: 1.29 for
    q = 2, 1.12 for 7, 1.06 for 17. Blocks against blocks would cost 2, as each pair would be met from both sides.

    Raises:
        ValueError: when so few rows at once cannot be; about ``2 sqrt(num_rows)`` always can.
    """
    if num_rows <= rows_at_once:
        return [Piece((slice(0, num_rows),))]
    for order in range(2, rows_at_once):
        num_blocks = order * order + order + 1
        if _is_prime(order) and (order + 1) * ceil(num_rows / num_blocks) <= rows_at_once:
            blocks = _cut(num_rows, num_blocks)
            lines = [
                [blocks[point] for point in line if blocks[point].start < blocks[point].stop] for line in _lines(order)
            ]
            return [Piece(tuple(line)) for line in lines if line]
    raise ValueError(
        f"rows at once: {num_rows} rows cannot be compared {rows_at_once} at a time, expected {ceil(3 * num_rows**0.5)}"
    )


def pieces_between(num_rows: int, num_columns: int, rows_at_once: int) -> list[Piece]:
    """Returns pieces of at most ``rows_at_once`` rows and columns together, in which each row meets each column once.

    Raises:
        ValueError: for less than two rows at once.
    """
    if rows_at_once < 2:
        raise ValueError(f"rows at once: expected 2 at least, one of each side, got {rows_at_once}")
    half = rows_at_once // 2
    rows, columns = _cut(num_rows, ceil(num_rows / half)), _cut(num_columns, ceil(num_columns / half))
    return [Piece((one,), (other,)) for one in rows for other in columns]


def _cut(stop: int, count: int) -> list[slice]:
    """Returns ``count`` slices that follow each other; their sizes differ by one at most."""
    return [slice(stop * place // count, stop * (place + 1) // count) for place in range(count)]


def _lines(order: int) -> list[list[int]]:
    """Returns the points on each line of the projective plane of a prime order, rising.

    The points (x, y) of the affine plane come first, then one for each slope, where parallel lines meet.
    """
    field, far = np.arange(order), order * order
    lines = [[*(field * order + (slope * field + shift) % order), far + slope] for slope in field for shift in field]
    lines += [[*(x * order + field), far + order] for x in field]
    lines.append([*(far + field), far + order])
    return [[int(point) for point in line] for line in lines]


def _is_prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))
