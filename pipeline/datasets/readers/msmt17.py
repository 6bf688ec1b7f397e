"""MSMT17: 4,101 persons seen by 15 cameras of a campus, with faces (V1) or without (V2).

Source: Wei et al., "Person Transfer GAN to Bridge Domain Gap for Person Re-Identification", CVPR 2018.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pipeline.config import Record
from pipeline.datasets.layouts.folders import JUNK, MARKET, check_parts, matches
from pipeline.datasets.layouts.lists import read_pairs
from pipeline.datasets.listing import Listing
from pipeline.datasets.location import advice
from pipeline.images.table import Counts, DataError, Entry

PUBLISHED = {
    True: Counts(32_621, 1_041, 11_659, 3_060, 82_161, 3_060),
    False: Counts(30_248, 1_041, 11_659, 3_060, 82_161, 3_060),
}
"""With the validation images, and without."""
UNVERIFIED_COUNTS = {
    True: ("train_identities", "query_identities", "gallery_identities"),
    False: ("train_images", "train_identities", "query_identities", "gallery_identities"),
}

TRAIN_IDENTITIES, TEST_IDENTITIES = 1_041, 3_060
FOLDERS = {"V1": ("train", "test"), "V2": ("mask_train_v2", "mask_test_v2")}
ROLE_OF_LIST = {
    "list_train.txt": "train",
    "list_val.txt": "train",
    "list_query.txt": "query",
    "list_gallery.txt": "gallery",
}
NAME = re.compile(r"(\d+)/\d+_\d+_(\d+)_.*\.jpg")
CONVERTED_NAME = re.compile(r"(-1|\d+)_c(\d+).*\.jpg")

TITLE = "MSMT17"
ADVICE = advice(
    "msmt17",
    TITLE,
    "Ask its authors (Shiliang Zhang's group, Peking University, pkuvmc.com/publications/msmt17.html) and sign their "
    "release agreement; the folder to give is MSMT17_V1 or MSMT17_V2, which holds "
    "list_train.txt, or its conversion, which holds bounding_box_train.",
)
CITATIONS = (
    """@inproceedings{wei2018person,
  title     = {Person Transfer GAN to Bridge Domain Gap for Person Re-identification},
  author    = {Wei, Longhui and Zhang, Shiliang and Gao, Wen and Tian, Qi},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2018}
}""",
)


class Settings(Record):
    """``version``: V1 shows faces, V2 has them blurred; scores differ. ``validation`` trains on list_val.txt too."""

    version: Literal["V1", "V2"]
    validation: bool


def list_images(folder: Path, *, version: str, validation: bool) -> Listing:
    """Returns the images of ``MSMT17_V1`` or ``MSMT17_V2``, or of the conversion to Market-1501's layout.

    The lists count the identities of train and of test from 0 each. Here those of train count from 1 and those of
    test go on after them. The conversion, which codes for unsupervised learning expect (Cluster Contrast and its
    like), has the validation images in its training folder, and does not tell V1 from V2.

    Raises:
        DataError: when a part is not there, or is that of the other version.
    """
    if (folder / "bounding_box_train").is_dir():
        entries, problems = _converted(folder, validation)
        notes = [f"converted to Market-1501's layout, which does not tell V1 from V2: taken for {version} as given"]
    else:
        entries, problems = _listed(folder, version, validation)
        notes = []
    return Listing(
        name={"V1": "msmt17", "V2": "msmt17_v2"}[version] + ("" if validation else "_without_val"),
        folder=folder,
        entries=entries,
        num_cameras=15,
        published=PUBLISHED[validation],
        unverified_counts=UNVERIFIED_COUNTS[validation],
        problems=problems,
        notes=notes,
    )


def _listed(folder: Path, version: str, validation: bool) -> tuple[list[Entry], list[str]]:
    """Returns the images that the four lists name, and what is wrong."""
    _check_version(folder, version)
    train, test = FOLDERS[version]
    lists = {name: role for name, role in ROLE_OF_LIST.items() if validation or name != "list_val.txt"}
    check_parts(folder, [train, test, *lists], ADVICE)
    entries: list[Entry] = []
    problems: list[str] = []
    for name, role in lists.items():
        for path, label in read_pairs(folder, name, problems):
            match = NAME.fullmatch(path)
            if match is None:
                problems.append(f"{name}: {path}: not named as <identity>/<identity>_<number>_<camera>_...jpg")
            elif int(match[1]) != label:
                problems.append(f"{name}: {path}: listed as identity {label}, named as {int(match[1])}")
            else:
                place = train if role == "train" else test
                entries.append(_entry(f"{place}/{path}", label, int(match[2]), role, problems))
    return entries, problems


def _check_version(folder: Path, version: str) -> None:
    """Raises a DataError when the folder holds the other version's images."""
    other = "V2" if version == "V1" else "V1"
    if not (folder / FOLDERS[version][0]).is_dir() and (folder / FOLDERS[other][0]).is_dir():
        raise DataError(
            folder,
            [
                f"this is MSMT17_{other}, by its folder {FOLDERS[other][0]}, and settings.version says {version}: "
                f"set it to {other}, or give the folder MSMT17_{version}"
            ],
        )


def _converted(folder: Path, validation: bool) -> tuple[list[Entry], list[str]]:
    """Returns the images of the conversion to Market-1501's layout, and what is wrong."""
    check_parts(folder, list(MARKET), ADVICE)
    if not validation:
        merged = "the conversion to Market-1501's layout has the validation images among the training ones: "
        raise DataError(folder, [f"{merged}set settings.validation to true, or give the folder MSMT17_V1 or MSMT17_V2"])
    entries: list[Entry] = []
    problems: list[str] = []
    for path, role, match in matches(folder, MARKET, CONVERTED_NAME, "<identity>_c<camera>...jpg", problems):
        label = int(match[1])
        if label != JUNK:
            entries.append(_entry(path, label, int(match[2]), role, problems))
    return entries, problems


def _entry(path: str, label: int, camera: int, role: str, problems: list[str]) -> Entry:
    """Returns the entry of an image, its identity counted on from those of train."""
    here, before = (TRAIN_IDENTITIES, 0) if role == "train" else (TEST_IDENTITIES, TRAIN_IDENTITIES)
    if label >= here:
        problems.append(f"{path}: identity {label}, outside 0..{here - 1}")
    return Entry(path, before + label + 1, camera, "visible", role)
