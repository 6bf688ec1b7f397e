"""Market-1501: 1,501 persons seen by 6 cameras of a campus, and half a million distractors for who wants them.

Source: Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.config import Record
from pipeline.datasets.layouts.folders import JUNK, check_parts, matches
from pipeline.datasets.layouts.market import EXPECTED, NAME, list_market
from pipeline.datasets.listing import Listing
from pipeline.datasets.location import advice
from pipeline.images.table import DISTRACTOR, Counts, Entry

PUBLISHED = Counts(
    train_images=12_936,
    train_identities=751,
    query_images=3_368,
    query_identities=750,
    gallery_images=15_913,
    gallery_identities=750,
)
"""After the junk boxes are dropped; the gallery's distractors are among its images."""
MORE_DISTRACTORS, MORE_IMAGES = "images", 500_000

TITLE = "Market-1501"
ADVICE = advice(
    "market1501",
    TITLE,
    "Ask its authors (Liang Zheng and others, zheng-lab.cecs.anu.edu.au/Project/project_reid.html) for "
    "Market-1501-v15.09.15 and unpack it; the folder to give is the one "
    "which holds bounding_box_train, query and bounding_box_test.",
)
CITATIONS = (
    """@inproceedings{zheng2015scalable,
  title     = {Scalable Person Re-identification: A Benchmark},
  author    = {Zheng, Liang and Shen, Liyue and Tian, Lu and Wang, Shengjin and Wang, Jingdong and Tian, Qi},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  year      = {2015}
}""",
)


class Settings(Record):
    """``distractors`` adds the 500,000 images of the folder ``images`` to the gallery, under a name of its own."""

    distractors: bool


def list_images(folder: Path, *, distractors: bool) -> Listing:
    """Returns the images of an unpacked ``Market-1501-v15.09.15``, junk boxes dropped.

    Raises:
        DataError: when a folder is not there.
    """
    entries, problems = list_market(folder, has_junk=True, advice=ADVICE)
    found = Listing("market1501", folder, entries, num_cameras=6, published=PUBLISHED, problems=problems)
    if not distractors:
        return found
    more, wrong = _more_distractors(folder)
    return replace(
        found,
        name="market1501_500k",
        entries=[*entries, *more],
        published=replace(PUBLISHED, gallery_images=PUBLISHED.gallery_images + MORE_IMAGES),
        unverified_counts=["gallery_images"],
        problems=[*problems, *wrong],
    )


def _more_distractors(folder: Path) -> tuple[list[Entry], list[str]]:
    """Returns the images of the folder ``images``, all distractors but those that are junk, and what is wrong."""
    check_parts(folder, [MORE_DISTRACTORS], "It comes in an archive of its own, distractors_500k; unpack it there.")
    entries: list[Entry] = []
    problems: list[str] = []
    for path, role, match in matches(folder, {MORE_DISTRACTORS: "gallery"}, NAME, EXPECTED, problems):
        person, camera = int(match[1]), int(match[2])
        if person == DISTRACTOR:
            entries.append(Entry(path, person, camera, "visible", role))
        elif person != JUNK:
            problems.append(f"{path}: shows identity {person}, and distractors are 0000 (or -1, junk)")
    return entries, problems
