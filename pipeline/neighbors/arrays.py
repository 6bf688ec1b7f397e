"""What the public functions are given -> what compiled loops take, by one rule for all of them.

Features, ids and distances may be numpy arrays, tensors on any device, or lists of numbers. What cannot be taken is
refused by one sentence, which names the argument.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

NAMED = 10  # rows of a message
NOT_FINITE = "hold NaN or infinity: find out what made them"


def as_features(name: str, values: Any) -> Tensor:
    """Returns embeddings as float32 ``[rows, columns]``, contiguous, cut off from any graph, on the device they are on.

    float32 is shared, not copied. Every other real number is rounded to the nearest of float32, float64 too; what is
    too large for it becomes infinity, which no distance takes.

    Raises:
        ValueError: for anything but real numbers of two dimensions with a row and a column at least.
    """
    if not isinstance(values, Tensor):
        array = _array(name, values, "numbers [rows, columns]")
        if array.dtype.kind in "fiub":
            with warnings.catch_warnings(), np.errstate(over="ignore"):
                warnings.simplefilter("ignore", UserWarning)  # of memory that is not to be written to; it never is
                values = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32).reshape(array.shape))
        else:
            values = array
    if not isinstance(values, Tensor) or values.is_complex() or values.ndim != 2 or not values.numel():
        raise _refused(name, "numbers [rows, columns], at least one row and one column", values)
    return values.detach().float().contiguous()


def as_finite_features(name: str, values: Any) -> np.ndarray:
    """Returns ``as_features`` in memory, where all are finite.

    Raises:
        ValueError: as ``as_features``, and naming the rows that hold NaN or infinity.
    """
    features = as_features(name, values).cpu().numpy()
    refuse_rows(~np.isfinite(features).all(axis=1), name, NOT_FINITE)
    return features


def check_columns(name: str, features: Tensor | np.ndarray, other_name: str, others: Tensor | np.ndarray) -> None:
    """Ensures that both ``[rows, columns]`` have as many columns.

    Raises:
        ValueError: naming both.
    """
    wanted, there = features.shape[1], others.shape[1]
    if wanted != there:
        raise ValueError(
            f"{other_name}: expected {wanted} columns, as {name} has, got {there}: embed both by one network"
        )


def as_images(name: str, values: Any) -> np.ndarray:
    """Returns images as uint8 ``[N, H, W, 3]``; other whole numbers are taken from 0 to 255.

    Raises:
        ValueError: for anything else.
    """
    array = _array(name, values, "images [N, H, W, 3]")
    is_whole = array.dtype.kind in "iu" and array.ndim == 4 and array.shape[3] == 3 and array.size
    if not is_whole or array.min() < 0 or array.max() > 255:
        raise _refused(name, "images [N, H, W, 3] of whole numbers from 0 to 255", array)
    return array.astype(np.uint8, copy=False)


def as_distances(name: str, values: Any, size: tuple[int, int]) -> np.ndarray:
    """Returns a matrix of distances ``[Q, G]`` as it stands: float32 or float64, C-contiguous.

    Numbers that float32 does not hold, as integers and Python's own, are float64.

    Raises:
        ValueError: for anything but real numbers of the ``size``, and for those that float64 does not hold.
    """
    array = _array(name, values, "a matrix of numbers")
    if array.dtype.kind not in "fiub" or array.shape != size:
        raise _refused(name, f"numbers {list(size)}, queries and gallery images", array)
    is_narrow = np.can_cast(array.dtype, np.float32)
    distances = np.ascontiguousarray(array, dtype=np.float32 if is_narrow else np.float64)
    if not np.can_cast(array.dtype, distances.dtype) or array.dtype.kind in "iu":
        with np.errstate(invalid="ignore"):
            is_rounded = (distances.astype(array.dtype) != array) & ~np.isnan(distances)
        trouble = f"hold {array.dtype} numbers that float64 does not hold: round them as you like, or give their ranks"
        refuse_rows(is_rounded.any(axis=1), name, trouble)
    return distances


def as_ids(name: str, values: Any, count: int | None = None) -> np.ndarray:
    """Returns identities, cameras or clusters ``[N]`` as int64 or, where they are texts, as texts.

    Args:
        count: how many there must be; None for one or more.

    Raises:
        ValueError: for another number of them; for NaN, missing ones, fractions, and what is neither number nor text.
    """
    array = _array(name, values, "whole numbers or texts [N]")
    if array.dtype == object:
        array = np.array(array.tolist())
    wanted = f"whole numbers or texts [{'N' if count is None else count}], one for each row"
    if array.ndim != 1 or not array.size or count not in (None, array.size):
        raise _refused(name, wanted, array)
    if array.dtype.kind == "U":
        return array
    if array.dtype.kind not in "fiub":
        raise _refused(name, wanted, array)
    with np.errstate(invalid="ignore"):
        ids = array.astype(np.int64)
    refuse_rows(ids != array, name, "hold NaN, a fraction or a number beyond int64: give each a whole number")
    return ids


def refuse_rows(is_bad: Any, name: str, trouble: str) -> None:
    """Ensures that no row ``is_bad``, bool ``[N]``.

    Raises:
        ValueError: naming the argument, its first rows that are, and their ``trouble``.
    """
    rows = np.flatnonzero(is_bad)
    if rows.size:
        raise ValueError(f"{name}: {len(rows)} rows {trouble}; the first are {rows[:NAMED].tolist()}")


def _array(name: str, values: Any, wanted: str) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu().resolve_conj()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{name}: expected {wanted}, got a masked array: say what stands for what is masked (filled)")
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: expected {wanted} as an array, a tensor or lists, got {error}") from None


def _refused(name: str, wanted: str, values: np.ndarray | Tensor) -> ValueError:
    got = f"{values.dtype} {list(values.shape)}"
    return ValueError(f"{name}: expected {wanted}, as an array, a tensor or lists, got {got}")
