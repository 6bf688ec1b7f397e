"""``labels.parquet``: the clusters that a cluster stage found, to be trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = ("row", "label", "size")


def write_labels(path: Path, rows: np.ndarray, labels: np.ndarray) -> None:
    """Ensures that ``path`` holds a table of store ``rows``, their ``labels`` and clusters' sizes, 0 for noise."""
    counts = np.bincount(labels[labels >= 0], minlength=1)
    sizes = np.where(labels >= 0, counts[labels], 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(dict(zip(COLUMNS, (rows, labels, sizes), strict=True))).to_parquet(path, index=False)


def read_labels(path: Path, rows: np.ndarray) -> np.ndarray:
    """Returns the labels, int64 ``[len(rows)]``, that ``write_labels`` wrote for ``rows``.

    Raises:
        ValueError: when the table is none of labels, or of other rows.
    """
    table = pd.read_parquet(path)
    if tuple(table.columns) != COLUMNS:
        raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}, got {', '.join(table.columns)}")
    if not np.array_equal(table["row"], rows):
        raise ValueError(
            f"{path} labels {len(table)} images, and not the {len(rows)} that are trained on: cluster the same data set"
        )
    return table["label"].to_numpy(copy=True)
