"""Market-1501: 1,501 persons seen by 6 cameras of a campus.

Source: Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipeline.data import market_layout
from pipeline.data.location import advice
from pipeline.data.table import Counts

PUBLISHED = Counts(
    train_images=12_936,
    train_identities=751,
    query_images=3_368,
    query_identities=750,
    gallery_images=15_913,
    gallery_identities=750,
)
"""After the junk boxes are dropped; the gallery's distractors are among its images."""

ADVICE = advice(
    "market1501",
    "Market-1501",
    "Ask its authors (Liang Zheng and others, zheng-lab.cecs.anu.edu.au/Project/project_reid.html) for "
    "Market-1501-v15.09.15 and unpack it; the folder to give is the one "
    "which holds bounding_box_train, query and bounding_box_test.",
)


def read(folder: Path, *, counts: Counts | None) -> pd.DataFrame:
    """Returns the image table of an unpacked ``Market-1501-v15.09.15``, junk boxes dropped.

    ``counts`` is ``PUBLISHED``, or None for other data in this layout.

    Raises:
        DataError: with all that is wrong, in one list.
    """
    return market_layout.read(folder, num_cameras=6, counts=counts, has_junk=True, advice=ADVICE)
