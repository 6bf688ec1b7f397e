"""The counts of ``counting.py`` in torch operations, for tiles on a GPU; the same numbers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipeline.evaluation.labels import Same
from pipeline.evaluation.thresholds import Block


def remove_by_torch(
    tile: Tensor, columns: slice, same: Same, views: np.ndarray, unseen: np.ndarray, removed: float
) -> None:
    """Ensures that what does not count is at ``removed``: ``same``, and what ``unseen`` hides of each row's view."""
    is_here = (same.columns >= columns.start) & (same.columns < columns.stop)
    rows, places = same.rows[is_here], same.columns[is_here] - columns.start
    tile[torch.from_numpy(rows).to(tile.device), torch.from_numpy(places).to(tile.device)] = removed
    for view, hidden in enumerate(unseen):
        is_row, is_hidden = (torch.from_numpy(part).to(tile.device) for part in (views == view, hidden[columns]))
        tile.masked_fill_(is_row[:, None] & is_hidden, removed)


def count_by_torch(tile: Tensor, columns: slice, block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Adds a tile to what is clear and seen, and returns rows and columns, int64, of its unclear pairs."""
    lows, highs = (torch.from_numpy(edges).to(tile.device) for edges in (block.lows, block.highs))
    above = torch.searchsorted(lows, tile, right=True)
    is_clear = torch.searchsorted(highs, tile) == above
    clear = torch.zeros(block.clear.shape, dtype=torch.int64, device=tile.device)
    clear.scatter_add_(1, above, is_clear.long())
    block.clear[:] += clear.cpu().numpy()
    if block.seen.shape[1]:
        identities = torch.from_numpy(block.identities[columns]).to(tile.device).long()
        seen = torch.from_numpy(block.seen).to(tile.device)
        seen.scatter_reduce_(1, identities.expand(tile.shape), (tile < lows[:, :1]).to(torch.uint8), "amax")
        block.seen[:] = seen.cpu().numpy()
    rows, places = torch.nonzero(~is_clear, as_tuple=True)
    return rows.cpu().numpy(), places.cpu().numpy() + columns.start
