"""Distances between two sets of embeddings: roughly in float32 tiles, and exactly, pair by pair, in float64.

A matrix product sums in an order of its own, which differs between machines, numbers of threads and sizes of tile. So
tiles only tell which pairs cannot matter; what is left is measured again pair by pair, in one fixed order of summation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from pipeline.neighbors.arrays import NOT_FINITE, as_features, check_columns, refuse_rows
from pipeline.neighbors.pairwise_summation import pair_sums
from pipeline.neighbors.threads import over_rows

METRICS = ("cosine", "euclidean")
UNIT = 2.0**-24  # the relative rounding error of one float32 operation
LONGEST = 2.0**62  # embeddings of which float32 holds squared distances
FAR_FROM_ONE = 40  # the power of two of a length that leaves float32 products without room


class Space:
    """Both sides of a comparison, and the distances between them.

    Cosine: ``1 - S_qg / sqrt(S_qq S_gg)``, clipped to [0, 2], with S the pairwise sums of the float64 products,
    which are exact; so the distance of duplicates is 0, and of opposite rows 2. Euclidean is squared: the pairwise sum
    of ``(q - g)^2`` in float64. Both are symmetric in every bit.

    Attributes:
        query, gallery: tensors, float32 ``[Q, D]`` and ``[G, D]``, on ``device``; one tensor if they are one set.
        is_one_set: whether query and gallery are the same object.
        margin: float64 ``[Q]``; every rough distance of a query is off from the exact one by less.

    The margin. Let u = 2^-24, and K the columns of one product. In a sum of K products, in whatever order, each of them
    is rounded at most K times, and the finished products are summed in ceil(D / K) - 1 more steps. With
    n = K + ceil(D / K) the whole is off by less than g |q| |g|, g = nu / (1 - nu), as sums of |q_i g_i| are at most
    |q| |g|. (That ``addmm_`` finishes a product before it adds it is how matrix products are written, not a promise;
    with K >= D nothing rests on it.)
    Cosine: the product is scaled by 1 / |q| times 1 / |g| (4 roundings of a number up to 1 + g) and taken from 1 (one
    of a number up to 2 + g): below g + 8 u. Euclidean, squared: with M = max |g|, the product is scaled by 2 (as many
    roundings), |q|^2 and |g|^2 are rounded, added, and the product is taken from them: at most 5 u (|q| + M)^2 and
    terms of second order, below 2 g |q| M + 8 u (|q| + M)^2. Numbers below float32's normal range may become zeros:
    D 2^-122 is added for them; lengths for cosine are kept within 2^-40 and 2^40, where 8 u leave room for it.
    """

    def __init__(
        self,
        query: Any,
        gallery: Any,
        metric: str,
        device: str | torch.device = "cpu",
        *,
        columns_at_once: int = 4096,
        names: tuple[str, str] = ("query", "gallery"),
    ) -> None:
        """Checks and measures both sides.

        Args:
            query, gallery: features, see ``as_features``; the same object for one set. Not copied on their device.
            metric: ``cosine`` or ``euclidean``.
            columns_at_once: of one float32 product. Fewer make the margin tighter (512 for D = 2048: 3.2e-5 instead of
                1.2e-4 in cosine distance) at about the same speed; the exact distances stay the same.
            names: what messages call both sides.

        Raises:
            ValueError: for an unknown metric; for sides as ``as_features``, and not of one D; naming the rows, for NaN
                and infinity, all zeros (cosine) and lengths above 4.6e18 (Euclidean).
        """
        if metric not in METRICS:
            raise ValueError(f"metric: expected one of {', '.join(METRICS)}, got {metric!r}")
        self.metric, self.columns_at_once, self.is_one_set = metric, columns_at_once, gallery is query
        self.query = as_features(names[0], query).to(device)
        self.gallery = self.query if self.is_one_set else as_features(names[1], gallery).to(device)
        check_columns(names[0], self.query, names[1], self.gallery)
        self._query_squares = self._measured(names[0], self.query)
        self._gallery_squares = self._query_squares if self.is_one_set else self._measured(names[1], self.gallery)
        self._query_side = self._side(self.query, self._query_squares)
        self._gallery_side = self._query_side if self.is_one_set else self._side(self.gallery, self._gallery_squares)
        self.margin = self._margins()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows of the query and of the gallery."""
        return len(self.query), len(self.gallery)

    def rough(self, rows: slice, columns: slice, buffer: Tensor | None = None) -> Tensor:
        """Returns the distances ``[R, C]`` of query ``rows`` to gallery ``columns`` in float32, within ``margin``.

        Args:
            buffer: at least R x C float32 numbers in one row, to be written to; the result is a view of it.
        """
        (query, row_terms), (gallery, column_terms) = self._query_side, self._gallery_side
        query, gallery = query[rows], gallery[columns]
        size = len(query), len(gallery)
        if buffer is None:
            buffer = torch.empty(size[0] * size[1], device=query.device)
        tile = buffer[: size[0] * size[1]].view(size)
        with _plain_float32(tile.device):
            for start in range(0, query.shape[1], self.columns_at_once):
                part = slice(start, start + self.columns_at_once)
                if start:
                    tile.addmm_(query[:, part], gallery[:, part].T)
                else:
                    torch.mm(query[:, part], gallery[:, part].T, out=tile)
        _to_distances(tile, row_terms[:, rows], column_terms[:, columns])
        return tile

    def exact(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Returns the distance, float64 ``[P]``, of each pair of a query row and a gallery row, int64 ``[P]``.

        Raises:
            ValueError: for rows that are not there; compiled loops would read whatever lies in their place.
        """
        for name, numbers, count in (("rows", rows, len(self.query)), ("columns", columns, len(self.gallery))):
            if len(numbers) and not 0 <= numbers.min() <= numbers.max() < count:
                raise ValueError(f"{name}: expected 0 to {count - 1}, got {numbers.min()} to {numbers.max()}")
        is_cosine = self.metric == "cosine"
        sums = pair_sums(self.query, self.gallery, rows, columns, is_difference=not is_cosine)
        if is_cosine:
            squares = self._query_squares[rows] * self._gallery_squares[columns]
            sums = np.clip(1 - sums / np.sqrt(squares), 0, 2)
        return sums

    def _measured(self, name: str, features: Tensor) -> np.ndarray:
        """Returns the squared lengths, float64, of rows that are ensured to have a distance."""
        everyone = np.arange(len(features))
        squares = pair_sums(features, features, everyone, everyone, is_difference=False)
        refuse_rows(~np.isfinite(squares), name, NOT_FINITE)
        if self.metric == "cosine":
            refuse_rows(squares == 0, name, "are all zeros: no direction to take a cosine of")
        else:
            refuse_rows(squares > LONGEST**2, name, f"are longer than {LONGEST:.2g}: scale the embeddings down")
        return squares

    def _side(self, features: Tensor, squares: np.ndarray) -> tuple[Tensor, Tensor]:
        """Returns the rows that enter products, and float32 ``[2, N]``: what is added to products and what scales them.

        A distance is ``row_add + column_add - product * row_scale * column_scale``. Cosine does not see the length of a
        row, so rows without room for float32 products are replaced by themselves over a power of two.
        """
        if self.metric == "cosine":
            powers = np.frexp(squares)[1] // 2
            if (far := np.flatnonzero(np.abs(powers) >= FAR_FROM_ONE)).size:
                scales = torch.from_numpy(np.ldexp(1.0, -powers[far])).to(features.device)
                features = features.clone()
                features[far] = (features[far].double() * scales[:, None]).float()
                squares = squares.copy()
                squares[far] = np.ldexp(squares[far], -2 * powers[far])
            terms = np.stack([np.full(len(squares), 0.5), 1 / np.sqrt(squares)])
        else:
            terms = np.stack([squares, np.full(len(squares), np.sqrt(2))])
        return features, torch.from_numpy(terms.astype(np.float32)).to(features.device)

    def _margins(self) -> np.ndarray:
        columns = self.query.shape[1]
        steps = min(columns, self.columns_at_once) + -(-columns // self.columns_at_once)
        product = steps * UNIT / (1 - steps * UNIT)
        if self.metric == "cosine":
            return np.full(len(self.query), product + 8 * UNIT)
        lengths, longest = np.sqrt(self._query_squares), np.sqrt(self._gallery_squares.max())
        return 2 * product * lengths * longest + 8 * UNIT * (lengths + longest) ** 2 + columns * 2.0**-122


@contextmanager
def _plain_float32(device: torch.device) -> Iterator[None]:
    """Makes float32 products mean float32 here, whatever the process allows elsewhere (TF32, bfloat16, autocast)."""
    backends: Any = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def _to_distances(tile: Tensor, row_terms: Tensor, column_terms: Tensor) -> None:
    """Turns products ``[R, C]`` into rough distances where they stand."""
    if tile.device.type == "cpu":
        over_rows(_scale_and_add, len(tile), tile.numpy(), row_terms.numpy(), column_terms.numpy())
    else:
        tile.mul_(row_terms[1, :, None]).mul_(column_terms[1]).neg_().add_(column_terms[0]).add_(row_terms[0, :, None])


@numba.njit(cache=True, nogil=True)
def _scale_and_add(start, stop, tile, row_terms, column_terms):  # type: ignore[no-untyped-def]
    for row in range(start, stop):
        line, add, scale = tile[row], row_terms[0, row], row_terms[1, row]
        for column in range(line.size):
            line[column] = (add + column_terms[0, column]) - line[column] * (scale * column_terms[1, column])
