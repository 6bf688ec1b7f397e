"""Pairwise summation over the columns of two rows, in one order everywhere, so that sums are equal in every bit.

The terms of the D columns, padded with zeros to a power of two, are added second half to first half until one number is
left. Additions of halves are independent of each other, so this is as quick as any order, and numba on the CPU and
torch on any device give the same bits.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from pipeline.neighbors.threads import over_rows

NUMBERS_AT_ONCE = 1 << 22  # of float64 terms held by torch


def pair_sums(query: Tensor, gallery: Tensor, rows: np.ndarray, columns: np.ndarray, is_difference: bool) -> np.ndarray:
    """Returns the pairwise sum, float64 ``[P]``, of the products, or squared differences, of each pair of rows.

    Args:
        query, gallery: float32 ``[Q, D]`` and ``[G, D]``, on one device.
        rows, columns: of ``query`` and of ``gallery``, int64 ``[P]``.
    """
    if query.device.type != "cpu":
        return pair_sums_by_torch(query, gallery, rows, columns, is_difference)
    sums = np.empty(len(rows))
    over_rows(_sum_pairs, len(rows), query.numpy(), gallery.numpy(), rows, columns, is_difference, sums)
    return sums


def _half(width: int) -> int:
    """Returns half of ``width`` padded to a power of two, and 1 for 1."""
    return 1 << max(0, (width - 1).bit_length() - 1)


def pair_sums_by_torch(
    query: Tensor, gallery: Tensor, rows: np.ndarray, columns: np.ndarray, is_difference: bool
) -> np.ndarray:
    """Returns ``pair_sums`` from torch operations, on any device."""
    width, half = query.shape[1], _half(query.shape[1])
    sums = torch.empty(len(rows), dtype=torch.float64, device=query.device)
    step = max(1, NUMBERS_AT_ONCE // (2 * half))
    for start in range(0, len(rows), step):
        piece = slice(start, start + step)
        one, other = query[torch.from_numpy(rows[piece])].double(), gallery[torch.from_numpy(columns[piece])].double()
        terms = (one - other).square_() if is_difference else one * other
        terms = torch.nn.functional.pad(terms, (0, 2 * half - width))
        while terms.shape[1] > 1:
            middle = terms.shape[1] // 2
            terms = terms[:, :middle] + terms[:, middle:]
        sums[piece] = terms[:, 0]
    return sums.cpu().numpy()


@numba.njit(cache=True, nogil=True)
def _sum_pairs(start, stop, query, gallery, rows, columns, is_difference, sums):  # type: ignore[no-untyped-def]
    width = query.shape[1]
    half = 1
    while 2 * half < width:
        half *= 2
    terms = np.empty(half)
    for pair in range(start, stop):
        one, other = query[rows[pair]], gallery[columns[pair]]
        if is_difference:
            _add_squared_differences(one, other, terms)
        else:
            _add_products(one, other, terms)
        left = half
        while left > 1:
            left //= 2
            lower, upper = terms[:left], terms[left : 2 * left]
            for place in range(left):
                lower[place] += upper[place]
        sums[pair] = terms[0]


@numba.njit(cache=True, nogil=True)
def _add_products(one, other, terms):  # type: ignore[no-untyped-def]
    half = terms.size
    rest = max(0, one.size - half)
    one_upper, other_upper = one[half:], other[half:]
    for place in range(rest):
        lower = np.float64(one[place]) * np.float64(other[place])
        terms[place] = lower + np.float64(one_upper[place]) * np.float64(other_upper[place])
    for place in range(rest, half):
        terms[place] = np.float64(one[place]) * np.float64(other[place])


@numba.njit(cache=True, nogil=True)
def _add_squared_differences(one, other, terms):  # type: ignore[no-untyped-def]
    half = terms.size
    rest = max(0, one.size - half)
    one_upper, other_upper = one[half:], other[half:]
    for place in range(rest):
        lower = np.float64(one[place]) - np.float64(other[place])
        upper = np.float64(one_upper[place]) - np.float64(other_upper[place])
        terms[place] = lower * lower + upper * upper
    for place in range(rest, half):
        lower = np.float64(one[place]) - np.float64(other[place])
        terms[place] = lower * lower
