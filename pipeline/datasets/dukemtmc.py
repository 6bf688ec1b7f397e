"""DukeMTMC-reID: 1,404 persons seen by 8 cameras of a campus, 408 by one. Withdrawn by its makers."""

from __future__ import annotations

from pathlib import Path

from pipeline.config import Record
from pipeline.datasets.layouts.market import list_market
from pipeline.datasets.listing import Listing
from pipeline.datasets.location import advice
from pipeline.images.table import Counts

PUBLISHED = Counts(
    train_images=16_522,
    train_identities=702,
    query_images=2_228,
    query_identities=702,
    gallery_images=17_661,
    gallery_identities=1_110,
)
"""The 408 distractors of the gallery have identities of their own, each seen by one camera."""

ADVICE = advice(
    "dukemtmc",
    "DukeMTMC-reID",
    "It was withdrawn by its makers (Duke University, 2019): there is nobody left to ask, and copies from elsewhere "
    "should be left alone. Who holds a lawful copy from before gives the folder DukeMTMC-reID, "
    "which holds bounding_box_train, query and bounding_box_test.",
)


class Settings(Record):
    """There is nothing to choose."""


def list_images(folder: Path) -> Listing:
    """Returns the images of an unpacked ``DukeMTMC-reID``; it has no junk boxes.

    Raises:
        DataError: when a folder is not there.
    """
    entries, problems = list_market(folder, has_junk=False, advice=ADVICE)
    return Listing("dukemtmc", folder, entries, num_cameras=8, published=PUBLISHED, problems=problems)
