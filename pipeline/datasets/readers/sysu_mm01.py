"""SYSU-MM01: 491 persons seen by four cameras in visible and two in infrared light.

Source: Wu et al., "RGB-IR Person Re-Identification by Cross-Modality Similarity Preservation", IJCV 2020.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.config import Record
from pipeline.datasets.layouts.folders import check_parts, files
from pipeline.datasets.layouts.lists import read_ids
from pipeline.datasets.layouts.matlab import read_variables
from pipeline.datasets.listing import Listing
from pipeline.datasets.location import advice
from pipeline.images.table import Counts, Entry

PUBLISHED = {True: Counts(34_167, 395, 3_803, 96, 6_775, 96), False: Counts(30_213, 296, 3_803, 96, 6_775, 96)}
"""With the validation identities, on which everybody trains, and without; counted from the makers' own split files."""

CAMERAS, INFRARED = range(1, 7), (3, 6)
LISTS = {"train_id": "train", "val_id": "train", "test_id": "test"}
NAME = re.compile(r"\d{4}\.jpg")
DRAWS = "exp/rand_perm_cam.mat"

TITLE = "SYSU-MM01"
ADVICE = advice(
    "sysu_mm01",
    TITLE,
    "Ask its authors (Ancong Wu, wuanc@mail.sysu.edu.cn) with the signed agreement of github.com/wuancong/SYSU-MM01; "
    "the folder to give is SYSU-MM01, which holds cam1 to cam6 and exp.",
)
CITATIONS = (
    """@inproceedings{wu2017rgb,
  title     = {RGB-Infrared Cross-Modality Person Re-Identification},
  author    = {Wu, Ancong and Zheng, Wei-Shi and Yu, Hong-Xing and Gong, Shaogang and Lai, Jianhuang},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  year      = {2017}
}""",
)


class Settings(Record):
    """``validation`` trains on the 99 validation identities too, as everybody does."""

    validation: bool


def list_images(folder: Path, *, validation: bool) -> Listing:
    """Returns the images of the listed identities: infrared ones of test are queries, visible ones are the gallery.

    The galleries that the makers have drawn (``exp/rand_perm_cam.mat``) become ``draws``, where the file is there.

    Raises:
        DataError: when a part is not there.
    """
    lists = [name for name in LISTS if validation or name != "val_id"]
    check_parts(folder, [*(f"cam{camera}" for camera in CAMERAS), *(f"exp/{name}.txt" for name in lists)], ADVICE)
    entries: list[Entry] = []
    problems: list[str] = []
    for name in lists:
        for person in read_ids(folder, f"exp/{name}.txt", problems):
            found = [entry for camera in CAMERAS for entry in _seen(folder, person, camera, LISTS[name], problems)]
            if not found:
                problems.append(f"exp/{name}.txt: identity {person} has no image in cam1 to cam6")
            entries += found
    draws, notes = _draws(folder, entries, problems)
    return Listing(
        name="sysu_mm01" if validation else "sysu_mm01_without_val",
        folder=folder,
        entries=entries,
        num_cameras=6,
        protocol="sysu_mm01",
        published=PUBLISHED[validation],
        problems=problems,
        notes=notes,
        draws=draws,
    )


def _seen(folder: Path, person: int, camera: int, split: str, problems: list[str]) -> list[Entry]:
    """Returns the images of an identity by a camera, in the order of their names."""
    place = f"cam{camera}/{person:04d}"
    modality = "infrared" if camera in INFRARED else "visible"
    role = split if split == "train" else "query" if camera in INFRARED else "gallery"
    names = files(folder / place)
    problems += [f"{place}/{name}: not named as <frame, 4 digits>.jpg" for name in names if not NAME.fullmatch(name)]
    return [Entry(f"{place}/{name}", person, camera, modality, role) for name in names if NAME.fullmatch(name)]


def _draws(folder: Path, entries: Sequence[Entry], problems: list[str]) -> tuple[pd.DataFrame | None, list[str]]:
    """Returns the makers' galleries, and the note that they are missing."""
    if not (folder / DRAWS).is_file():
        return None, [
            f"{DRAWS} is not there, so galleries can't be those that the makers have drawn; it is "
            "evaluation/data_split/rand_perm_cam.mat of github.com/wuancong/SYSU-MM01"
        ]
    gallery: dict[tuple[int, int], list[str]] = {}
    for entry in entries:
        if entry.role == "gallery":
            gallery.setdefault((entry.camera_id, entry.person_id), []).append(entry.path)
    try:
        (permutations,) = read_variables(folder / DRAWS, ["rand_perm_cam"])
    except ValueError as error:
        problems.append(f"{DRAWS}: {error}")
        return None, []
    return pd.DataFrame(_rows(permutations, gallery, problems), columns=["trial", "path", "place"]), []


def _rows(
    permutations: Any, gallery: Mapping[tuple[int, int], list[str]], problems: list[str]
) -> list[tuple[Any, ...]]:
    """Returns trial, path and place of every draw.

    ``permutations`` holds, by camera and then by identity, an array [trials, images] of permutations of the images
    of an identity by a camera, counted from 1 in the order of their names (evaluation/get_testing_set.m of the makers).
    """
    rows: list[tuple[Any, ...]] = []
    for (camera, person), paths in gallery.items():
        of_camera = permutations[camera - 1, 0].ravel()
        orders = of_camera[person - 1] if person <= len(of_camera) else None
        if orders is None or sorted(orders[0].tolist()) != list(range(1, len(paths) + 1)):
            problems.append(f"{DRAWS}: does not permute the {len(paths)} images of cam{camera}/{person:04d}")
            continue
        for trial, order in enumerate(orders, start=1):
            rows += [(trial, paths[image - 1], place) for place, image in enumerate(order.tolist(), start=1)]
    return rows
