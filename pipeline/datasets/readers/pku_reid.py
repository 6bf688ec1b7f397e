"""PKU-Reid: 114 persons, each seen from eight sides by two cameras.

Source: Ma et al., "Orientation Driven Bag of Appearances for Person Re-identification", arXiv:1605.02464, 2016. Its
makers halved the persons once, for training and test; the ten splits here are this project's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.config import Record
from pipeline.datasets.layouts.folders import check_parts, files_below
from pipeline.datasets.layouts.identities import draw_train
from pipeline.datasets.listing import Listing
from pipeline.datasets.location import advice
from pipeline.images.table import Counts, DataError, Entry

PUBLISHED = Counts(
    train_images=912,
    train_identities=57,
    query_images=456,
    query_identities=57,
    gallery_images=456,
    gallery_identities=57,
)
SPLITS = 10
ROLES = {1: "query", 2: "gallery"}
"""What a test image is, by its camera."""
AMONG = re.compile(r"(?:train/|val/all_imgs/)?(\d+/.*|[^/]+)", re.ASCII)
"""The files that are taken for images, and of each what is to be a name."""
NAME = re.compile(r"(?!000)(\d{3})[_/]0([12])_[1-8]\.png", re.ASCII)
EXPECTED = "<person, 3 digits>_<camera, 01 or 02>_<side, 1 to 8>.png, or with / after the person"

TITLE = "PKU-Reid"
ADVICE = advice(
    "pku_reid",
    TITLE,
    "Its makers' page (github.com/charliememory/PKU-Reid-Dataset) says where it is; its licence is CC BY-NC-SA 4.0: "
    "name the makers, no commercial use, share what you make of it by the same licence. "
    "The folder to give is PKUv1a_128x48, which holds 001_01_1.png and the others. "
    "One that holds a folder for each person, 001/01_1.png, is read too, and one with such folders in train and "
    "val/all_imgs; a part of the persons will do.",
)
CITATIONS = (
    """@article{ma2016orientation,
  title   = {Orientation driven bag of appearances for person re-identification},
  author  = {Ma, Liqian and Liu, Hong and Hu, Liang and Wang, Can and Sun, Qianru},
  journal = {arXiv preprint arXiv:1605.02464},
  year    = {2016}
}""",
)


class Settings(Record):
    """``split``: which of the ten, from 1. Of 1 and 2, 3 and 4, ... one trains on those whom the other tests."""

    split: int


def list_images(folder: Path, *, split: int) -> Listing:
    """Returns the images of one split: half of the persons train; of the others camera 1 asks, and camera 2 answers.

    The halves are drawn by the persons' numbers alone, from those who are there: so a part has other halves than the
    whole. Of an odd number of persons, one half has one more.

    Raises:
        DataError: when images of two persons are not there.
        ValueError: when there is no such split.
    """
    if not 1 <= split <= SPLITS:
        raise ValueError(f"split: expected one of 1 to {SPLITS}, got {split}")
    check_parts(folder, [], ADVICE)
    problems: list[str] = []
    images = list(_named(folder, problems))
    persons = {person for _, person, _ in images}
    if len(persons) < 2:
        raise DataError(folder, [_too_few(folder)])
    half = draw_train(map(str, persons), share=0.5, seed=(split + 1) // 2)
    train = {person for person in persons if (str(person) in half) == (split % 2 == 1)}
    entries = [
        Entry(path, person, camera, "visible", "train" if person in train else ROLES[camera])
        for path, person, camera in images
    ]
    return Listing("pku_reid", folder, entries, num_cameras=2, published=PUBLISHED, problems=problems)


def _named(folder: Path, problems: list[str]) -> Iterator[tuple[str, int, int]]:
    """Yields path, person and camera of every image; what is named otherwise is a problem, other folders are not."""
    paths, broken = files_below(folder)
    problems += broken
    for path in paths:
        if not (among := AMONG.fullmatch(path)):
            continue
        if match := NAME.fullmatch(among[1]):
            yield path, int(match[1]), int(match[2])
        else:
            problems.append(
                f"{path}: not named as {EXPECTED}; "
                "restore its name from the archive, or remove what is no image of the data set"
            )


def _too_few(folder: Path) -> str:
    """Returns what to say where nothing can be halved: which folder to give instead, if one is near."""
    lacks = f"expected images of two persons or more in it, named as {EXPECTED}"
    for other in [folder.parent, *sorted(path for path in folder.iterdir() if path.is_dir())]:
        if len({person for _, person, _ in _named(other, [])}) > 1:
            return f"{lacks}; {other} has them: give that"
    return f"{lacks}. {ADVICE}"
