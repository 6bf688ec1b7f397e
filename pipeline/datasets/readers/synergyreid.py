"""SynergyReID: players, referees and coaches of basketball games, in sequences of 20 frames.

Source: Van Zandycke et al., "DeepSportradar-v1: Computer Vision Dataset for Sports Understanding with High Quality
Annotations", MMSports 2022.
"""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.config import Record
from pipeline.datasets.layouts.folders import check_parts, matches
from pipeline.datasets.listing import Listing
from pipeline.datasets.location import advice
from pipeline.images.table import Counts, Entry

PUBLISHED = Counts(
    train_images=8_569,
    train_identities=436,
    query_images=50,
    query_identities=50,
    gallery_images=910,
    gallery_identities=50,
)
FOLDERS = {"reid_training": "train", "reid_test/query": "query", "reid_test/gallery": "gallery"}
NAME = re.compile(r"(\d+)_(\d+)_(\d+)\.jpe?g")

TITLE = "SynergyReID"
ADVICE = advice(
    "synergyreid",
    TITLE,
    "It comes with github.com/DeepSportradar/player-reidentification-challenge, as "
    "baseline/data/synergyreid/raw/synergyreid_data.zip; the folder to give is the one that holds reid_training.",
)
CITATIONS = (
    """@inproceedings{vanzandycke2022deepsportradar,
  title     = {DeepSportradar-v1: Computer Vision Dataset for Sports Understanding with High Quality Annotations},
  author    = {Van Zandycke, Gabriel and Somers, Vladimir and Istasse, Maxime and Del Don, Carlo and Zambrano, Davide},
  booktitle = {International ACM Workshop on Multimedia Content Analysis in Sports},
  year      = {2022}
}""",
)


class Settings(Record):
    """There is nothing to choose."""


def list_images(folder: Path) -> Listing:
    """Returns the training and test images; those of the challenge, whose identities are hidden, are left out.

    One camera saw everything. Queries come from the first frame of a sequence and the gallery from the others: by
    the convention of its makers' code, queries and training images have camera 1 and the gallery has camera 2, so
    that nothing is removed from the gallery. Identities count from 0 on disk and from 1 here.

    Raises:
        DataError: when a folder is not there.
    """
    check_parts(folder, list(FOLDERS), ADVICE)
    entries: list[Entry] = []
    problems: list[str] = []
    expected = "<identity>_<sequence>_<frame>.jpeg"
    for path, role, match in matches(folder, FOLDERS, NAME, expected, problems):
        entries.append(Entry(path, int(match[1]) + 1, 2 if role == "gallery" else 1, "visible", role))
    return Listing("synergyreid", folder, entries, num_cameras=2, published=PUBLISHED, problems=problems)
