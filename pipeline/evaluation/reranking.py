"""k-reciprocal re-ranking: galleries ordered by whom images and their neighbours agree on, without an N x N matrix.

The final distance of query q and gallery image g is ``(1 - weight) J(q, g) + weight t(q, g)``: J is the Jaccard
distance of their k-reciprocal encodings among queries and gallery together, t in [0, 1] the distance of their features
over that of the image farthest from q. J is 1 for all but some hundred images of a query, so it is kept as sparse rows,
and t is measured again where it is asked for. Memory: features once more, k1 + 1 neighbours per image, encodings.

Source: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding" (CVPR 2017), equation 12.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from pipeline.evaluation.ranking import COLUMNS_AT_ONCE
from pipeline.neighbors.arrays import as_features, check_columns
from pipeline.neighbors.jaccard import jaccard_rows
from pipeline.neighbors.nearest import nearest_in
from pipeline.neighbors.reciprocal import encode_reciprocal, expand_encoding, named_convention
from pipeline.neighbors.space import UNIT, Space
from pipeline.neighbors.sparse import SparseRows
from pipeline.neighbors.threads import over_rows

CONVENTIONS = ("zhong", "deep_person_reid")
SMALLEST = 2.0**-100  # squared distance to the farthest image that float32 can divide by


@dataclass(frozen=True)
class Reranked:
    """The final distances of queries and gallery, as what they are made of; ``rank_distances`` ranks by them.

    Attributes:
        jaccard: J of every query to the gallery, float32 ``[Q, G]``; what is not stored is 1.
        space: the features of queries and gallery.
        farthest: float64 ``[Q]``, distance (squared, if Euclidean) of each query to the farthest of all queries and
            gallery images, or 1 where all of them are the same.
        weight: of the features' distance, in [0, 1].
        power: of the features' distance over ``farthest``: 1 or 2.
    """

    jaccard: SparseRows
    space: Space
    farthest: np.ndarray
    weight: float
    power: int

    @property
    def shape(self) -> tuple[int, int]:
        """Queries and gallery images."""
        return self.space.shape

    @property
    def margin(self) -> np.ndarray:
        """float64 ``[Q]``: every rough distance of a query is off from the exact one by less.

        With u = 2^-24: d / farthest is off by the margin of d over farthest and two roundings; its square, as both lie
        in [0, 1], by twice that. What follows rounds numbers of at most 1 no more than ten times.
        """
        return self.power * self.weight * (self.space.margin / self.farthest + 4 * UNIT) + 12 * UNIT

    def rough(self, rows: slice, columns: slice) -> Tensor:
        """Returns the final distances of queries ``rows`` to gallery ``columns``, float32 [R, C], within ``margin``."""
        tile = self.space.rough(rows, columns)
        near = self.jaccard.rows(rows.start, rows.stop)
        farthest = self.farthest[rows].astype(np.float32)
        if tile.device.type == "cpu":
            entries = near.starts, near.columns, near.values
            weights = np.array([self.weight, 1 - self.weight], dtype=np.float32)
            over_rows(_blend, len(tile), tile.numpy(), columns.start, farthest, weights, self.power, *entries)
        else:
            tile.div_(torch.from_numpy(farthest).to(tile.device)[:, None]).clamp_(0, 1)
            tile.pow_(self.power).mul_(self.weight).add_(1 - self.weight)
            inside = (near.columns >= columns.start) & (near.columns < columns.stop)
            cells = near.row_of_entries()[inside], near.columns[inside].astype(np.int64) - columns.start
            places = tuple(torch.from_numpy(part).to(tile.device) for part in cells)
            tile[places] -= (1 - self.weight) * (1 - torch.from_numpy(near.values[inside]).to(tile.device))
        return tile

    def exact(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Returns the final distance, float64 ``[P]``, of each pair of a query and a gallery row, int64 ``[P]``."""
        jaccard = np.empty(len(rows))
        over_rows(
            _find, len(rows), rows, columns, self.jaccard.starts, self.jaccard.columns, self.jaccard.values, jaccard
        )
        if self.weight == 0:
            return jaccard
        relative = self.space.exact(rows, columns) / self.farthest[rows]
        return self.weight * relative**self.power + (1 - self.weight) * jaccard

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Returns the final distances of queries ``start`` up to ``stop`` to all of the gallery, float32 [.., G].

        Rough ones: ranked by ``rank_distances``, what lies within their margin is measured again.
        """
        return self.rough(slice(start, stop), slice(0, self.jaccard.num_columns)).cpu().numpy()


def rerank(
    query: Any,
    gallery: Any,
    *,
    metric: str,
    k1: int,
    k2: int,
    weight: float,
    convention: str,
    block_size: int = 1024,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Reranked:
    """Returns the re-ranking of ``gallery`` [G, D] for every row of ``query`` [Q, D]: ``rank_distances`` takes it.

    The same in every bit for any ``block_size``, number of threads and device. Exact: neighbours, ties (to the lower
    row, queries first) and distances are those of float64.

    Args:
        query, gallery: arrays, tensors or lists, taken in float32: see ``as_features``.
        metric: ``euclidean``, which is squared in both conventions; or ``cosine``: the squared Euclidean distance of
            features at length 1, halved, which no formula here sees.
        k1: how many nearest images vouch for each other, 1 to Q + G - 1; usual: 20.
        k2: over how many nearest images encodings are averaged, 1 for none; usual: 6.
        weight: of the features' distance; usual: 0.3. 0 is the Jaccard distance alone, by which most of a gallery is
            tied at 1; 1 changes no order.
        convention: ``zhong``: t is the squared Euclidean distance over the row's largest; ``re_ranking`` of
            zhunzhong07/person-re-ranking, which squares plain Euclidean distances. ``deep_person_reid``: t is the
            square of that; ``re_ranking`` of KaiyangZhou/deep-person-reid f8cd150, which squares once more what its
            callers have squared. The same t makes the weights of the encoding. Both take k1 + 1 neighbours, the image
            itself among them.
        block_size: rows and columns of a tile of distances.
        progress: called with the numbers of tiles done and of all tiles.

    Raises:
        ValueError: for k1, k2, weight or convention out of range, and for features as ``Space``, or too near to each
            other.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"convention: expected one of {', '.join(CONVENTIONS)}, got {convention!r}")
    if not 0 <= weight <= 1:
        raise ValueError(f"weight of the features' distance: expected 0 to 1, got {weight}")
    query, gallery = as_features("query", query), as_features("gallery", gallery)
    check_columns("query", query, "gallery", gallery)
    num_queries, everyone = len(query), torch.cat([query.to(device), gallery.to(device)])
    for name, value, most in (("k1", k1, len(everyone) - 1), ("k2", k2, len(everyone))):
        if not 1 <= value <= most:
            raise ValueError(f"{name}: expected 1 to {most} for {len(everyone)} images in all, got {value}")
    of_all = Space(everyone, everyone, metric, device, names=("query and gallery",) * 2)
    near = nearest_in(of_all, max(k1 + 1, k2), farthest=True, block_size=block_size, progress=progress)
    encoding = encode_reciprocal(near, of_all, k1=k1, convention=convention)
    encoding = expand_encoding(encoding, near.rows, k2=k2)
    jaccard = jaccard_rows(encoding.rows(0, num_queries), encoding.rows(num_queries, len(everyone)))
    space = Space(everyone[:num_queries], everyone[num_queries:], metric, device, columns_at_once=COLUMNS_AT_ONCE)
    assert near.farthest_compared is not None
    farthest = near.farthest_compared[:num_queries]
    if ((farthest > 0) & (farthest < SMALLEST)).any():
        raise ValueError(f"all squared distances of a query are below {SMALLEST:.0e}: scale the embeddings up")
    farthest = np.where(farthest > 0, farthest, 1)
    return Reranked(jaccard, space, farthest, weight, named_convention(convention).power)


@numba.njit(cache=True, nogil=True)
def _blend(start, stop, tile, first, farthest, weights, power, starts, columns, values):  # type: ignore[no-untyped-def]
    """Turns rough distances of features into final ones where they stand; ``first`` is the tile's first column."""
    of_features, of_jaccard = weights
    width = tile.shape[1]
    for row in range(start, stop):
        line = tile[row]
        scale = np.float32(1) / farthest[row]
        for place in range(width):
            relative = min(max(line[place] * scale, np.float32(0)), np.float32(1))
            if power == 2:
                relative *= relative
            line[place] = relative * of_features + of_jaccard
        entry = starts[row] + np.searchsorted(columns[starts[row] : starts[row + 1]], first)
        while entry < starts[row + 1] and columns[entry] < first + width:
            line[columns[entry] - first] -= of_jaccard * (np.float32(1) - values[entry])
            entry += 1


@numba.njit(cache=True, nogil=True)
def _find(start, stop, rows, wanted, starts, columns, values, found):  # type: ignore[no-untyped-def]
    """Writes the value of each pair, or 1 where none is stored."""
    for pair in range(start, stop):
        end = starts[rows[pair] + 1]
        entry = starts[rows[pair]] + np.searchsorted(columns[starts[rows[pair]] : end], wanted[pair])
        is_stored = entry < end and columns[entry] == wanted[pair]
        found[pair] = values[entry] if is_stored else 1.0
