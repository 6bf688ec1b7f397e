"""RegDB: 412 persons, each seen in ten visible and ten thermal images.

Source: Nguyen et al., "Person Recognition System Based on a Combination of Body Images from Visible Light and Thermal
Cameras", Sensors 2017; the ten splits are those of Ye et al., "Hierarchical Discriminative Learning for Visible
Thermal Person Re-Identification", AAAI 2018.
"""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.config import Record
from pipeline.datasets.layouts.folders import check_parts
from pipeline.datasets.layouts.lists import read_named
from pipeline.datasets.listing import Listing
from pipeline.datasets.location import advice
from pipeline.images.table import Counts, Entry

PUBLISHED = Counts(
    train_images=4_120,
    train_identities=206,
    query_images=2_060,
    query_identities=206,
    gallery_images=2_060,
    gallery_identities=206,
)
SPLITS = 10
KINDS = {"visible": ("visible", 1), "thermal": ("infrared", 2)}
"""The modality and camera of each list; one camera of each kind saw everybody."""
NAME = re.compile(r"[^/]+/(\d+)/[^/]+")

TITLE = "RegDB"
ADVICE = advice(
    "regdb",
    TITLE,
    "Ask its authors (Dongguk University, DBPerson-Recog-DB1, dm.dongguk.edu) and sign their agreement; "
    "the folder to give is RegDB, which holds Visible, Thermal and idx.",
)
CITATIONS = (
    """@article{nguyen2017person,
  title   = {Person Recognition System Based on a Combination of Body Images from Visible Light and Thermal Cameras},
  author  = {Nguyen, Dat Tien and Hong, Hyung Gil and Kim, Ki Wan and Park, Kang Ryoung},
  journal = {Sensors},
  volume  = {17},
  year    = {2017}
}""",
)


class Settings(Record):
    """``split``: which of the ten, from 1. Published numbers are means of ten models, one for each."""

    split: int


def list_images(folder: Path, *, split: int) -> Listing:
    """Returns the images of one split: thermal ones of test are queries, visible ones are the gallery.

    An identity is its folder's number and one, since 0 stands for distractors: so the same in every split.

    Raises:
        DataError: when a part is not there.
        ValueError: when there is no such split.
    """
    if not 1 <= split <= SPLITS:
        raise ValueError(f"split: expected one of 1 to {SPLITS}, got {split}")
    lists = {part: {f"idx/{part}_{kind}_{split}.txt": KINDS[kind] for kind in KINDS} for part in ("train", "test")}
    check_parts(folder, [name for names in lists.values() for name in names], ADVICE)
    entries: list[Entry] = []
    problems: list[str] = []
    for part, kinds in lists.items():
        for name, path, match in read_named(folder, list(kinds), NAME, "<kind>/<identity>/<image>", problems):
            modality, camera = kinds[name]
            role = part if part == "train" else "query" if modality == "infrared" else "gallery"
            entries.append(Entry(path, int(match[1]) + 1, camera, modality, role))
    return Listing(
        "regdb",
        folder,
        entries,
        num_cameras=2,
        protocol="regdb",
        published=PUBLISHED,
        problems=problems,
    )
