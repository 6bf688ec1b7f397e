"""Features -> rankings in all trials of a protocol, and their means.

Galleries of different trials share images, and all trials share the queries: the products of all queries and all
images that were drawn are made once, where memory allows it, and each trial looks at its own columns of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.evaluation.counting import Distances
from pipeline.evaluation.protocols import Search, Table, Trial, trials_of
from pipeline.evaluation.ranking import Ranking, make_space, rank_by
from pipeline.neighbors.arrays import as_features
from pipeline.neighbors.space import Space

COUNTED = ("num_queries", "num_valid_queries")
NUMBERS_KEPT = 1 << 26  # of rough distances that trials share: 256 MiB


def rank_trials(
    features: Any,
    table: Table,
    search: Search,
    *,
    metric: str,
    average_precision: str,
    draws: Table | None = None,
    block_size: int = 2048,
    device: str | torch.device = "cpu",
) -> list[Ranking]:
    """Returns the ranking of each trial by ``features`` [N, D] of the rows of ``table``; see ``rank_embeddings``.

    ``draws`` as in ``trials_of``.
    """
    features = as_features("features", features).cpu()
    if len(features) != (num_rows := len(table["split"])):
        raise ValueError(f"features: expected those of the {num_rows} rows of the table, got {list(features.shape)}")
    trials = list(trials_of(search, table, draws))
    return [
        rank_by(
            distances,
            trial.labels,
            average_precision=average_precision,
            with_identities=search.with_identities,
            block_size=block_size,
        )
        for trial, distances in zip(trials, distances_of(features, trials, metric, device), strict=True)
    ]


def distances_of(
    features: Any, trials: Sequence[Trial], metric: str, device: str | torch.device
) -> Iterator[Distances]:
    """Yields the distances of each of the ``trials`` of one search, by ``features`` [N, D] of the rows of its table.

    Raises:
        ValueError: as ``make_space``.
    """
    features = as_features("features", features).cpu().numpy()
    query, drawn = features[trials[0].query], np.unique(np.concatenate([trial.gallery for trial in trials]))
    if len(trials) == 1 or len(query) * len(drawn) > NUMBERS_KEPT:
        for trial in trials:
            yield make_space(query, features[trial.gallery], metric, device)
        return
    space = make_space(query, features[drawn], metric, device)
    tile = space.rough(slice(0, len(query)), slice(0, len(drawn)))
    for trial in trials:
        yield _Columns(space, tile, np.searchsorted(drawn, trial.gallery))


def mean_metrics(rankings: Sequence[Ranking]) -> dict[str, float]:
    """Returns the mean of each metric over trials, and where there are several, their deviations as ``mAP_std``, ...

    Numbers of queries are those of the first trial. A deviation is that of the trials at hand (divided by their
    number).
    """
    runs = [ranking.metrics() for ranking in rankings]
    names = [name for name in runs[0] if name not in COUNTED]
    means = {name: float(np.mean([run[name] for run in runs])) for name in names}
    counts = {name: runs[0][name] for name in COUNTED}
    if len(runs) == 1:
        return means | counts
    return means | counts | {f"{name}_std": float(np.std([run[name] for run in runs])) for name in names}


class _Columns:
    """Some ``columns``, int64, of a space of which all rough distances are in one ``tile``."""

    def __init__(self, space: Space, tile: Tensor, columns: np.ndarray) -> None:
        self.margin, self.shape = space.margin, (len(space.query), len(columns))
        self._space, self._tile, self._columns = space, tile, columns

    def rough(self, rows: slice, columns: slice) -> Tensor:
        """Returns a copy of a part of the tile."""
        return self._tile[rows].index_select(1, torch.from_numpy(self._columns[columns]).to(self._tile.device))

    def exact(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Returns the distance, float64 ``[P]``, of each pair, int64 ``[P]``."""
        return self._space.exact(rows, self._columns[columns])
