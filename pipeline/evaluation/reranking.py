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

import numpy as np
import torch

from pipeline.neighbors.jaccard import jaccard_rows
from pipeline.neighbors.nearest import find_nearest
from pipeline.neighbors.reciprocal import encode_reciprocal, expand_encoding, named_convention
from pipeline.neighbors.space import Space
from pipeline.neighbors.sparse import SparseRows

CONVENTIONS = ("zhong", "deep_person_reid")


@dataclass(frozen=True)
class Reranked:
    """The final distances of queries and gallery, as what they are made of.

    Attributes:
        jaccard: J of every query to the gallery, float32 ``[Q, G]``; what is not stored is 1.
        space: the features of queries and gallery.
        farthest: float64 ``[Q]``, distance of each query to the farthest of all queries and gallery images.
        weight: of the features' distance, in [0, 1].
        power: of the features' distance over ``farthest``.
    """

    jaccard: SparseRows
    space: Space
    farthest: np.ndarray
    weight: float
    power: int

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Returns the final distances of queries ``start`` up to ``stop`` to all of the gallery, float32 [.., G].

        From one float32 product: of features' distances near 0, the last digits are lost, and equal ones may differ.
        """
        farthest = torch.from_numpy(_divisors(self.farthest[start:stop]).astype(np.float32))[:, None]
        everyone = slice(0, self.jaccard.num_columns)
        distances = self.space.rough(slice(start, stop), everyone).cpu().div_(farthest).clamp_(0, 1)
        final = distances.pow_(self.power).mul_(self.weight).add_(1 - self.weight).numpy()
        near = self.jaccard.rows(start, stop)
        final[near.row_of_entries(), near.columns] -= (1 - self.weight) * (1 - near.values)
        return final

    def exact(self, queries: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Returns the final distance, float64 ``[P]``, of each pair of a query and a gallery row, int64 ``[P]``."""
        distances = self.space.exact(queries, images) / _divisors(self.farthest)[queries]
        return self.weight * distances**self.power + (1 - self.weight) * self._jaccard_of(queries, images)

    def _jaccard_of(self, queries: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Returns J, float64 ``[P]``, of each pair, by a search in the rising numbers of all stored pairs."""
        width = self.jaccard.num_columns
        stored = self.jaccard.row_of_entries() * width + self.jaccard.columns
        wanted = queries * width + images
        places = np.searchsorted(stored, wanted)
        found = np.append(stored, -1)[places] == wanted
        return np.where(found, np.append(self.jaccard.values, 1)[places], 1.0)


def rerank(
    query: Any,
    gallery: Any,
    *,
    metric: str,
    k1: int,
    k2: int,
    weight: float,
    convention: str,
    block_size: int = 2048,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Reranked:
    """Returns the re-ranking of ``gallery`` [G, D] for every row of ``query`` [Q, D], numpy arrays or tensors.

    The same in every bit for any ``block_size``, number of threads and device. Exact: neighbours, ties (to the lower
    row, queries first) and distances are those of float64.

    Args:
        metric: ``squared_euclidean``, or ``cosine``: the squared Euclidean one of features at length 1, halved, which
            no formula here sees.
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
        ValueError: for k1, k2, weight or convention out of range, and for features as ``Space``.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"convention: expected one of {', '.join(CONVENTIONS)}, got {convention!r}")
    if not 0 <= weight <= 1:
        raise ValueError(f"weight of the features' distance: expected 0 to 1, got {weight}")
    num_queries, everyone = len(query), _one_set(query, gallery)
    for name, value, most in (("k1", k1, len(everyone) - 1), ("k2", k2, len(everyone))):
        if not 1 <= value <= most:
            raise ValueError(f"{name}: expected 1 to {most} for {len(everyone)} images in all, got {value}")
    near = find_nearest(
        everyone,
        max(k1 + 1, k2),
        metric=metric,
        farthest=True,
        block_size=block_size,
        device=device,
        progress=progress,
    )
    encoding = encode_reciprocal(near, Space(everyone, everyone, metric, device), k1=k1, convention=convention)
    encoding = expand_encoding(encoding, near.rows, k2=k2)
    jaccard = jaccard_rows(encoding.rows(0, num_queries), encoding.rows(num_queries, len(everyone)))
    space = Space(everyone[:num_queries], everyone[num_queries:], metric, device)
    assert near.farthest is not None
    return Reranked(jaccard, space, near.farthest[:num_queries], weight, named_convention(convention).power)


def _one_set(query: Any, gallery: Any) -> torch.Tensor:
    sides = [torch.as_tensor(side).detach().cpu().float() for side in (query, gallery)]
    if any(side.ndim != 2 or not side.numel() for side in sides) or sides[0].shape[1] != sides[1].shape[1]:
        raise ValueError(f"expected query [Q, D] and gallery [G, D], got {[list(side.shape) for side in sides]}")
    return torch.cat(sides)


def _divisors(farthest: np.ndarray) -> np.ndarray:
    """Returns ``farthest``, and 1 where all images are the same, so that their distances stay 0."""
    return np.where(farthest > 0, farthest, 1)
