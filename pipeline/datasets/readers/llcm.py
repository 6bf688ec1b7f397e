"""LLCM: 1,064 persons seen by nine cameras in visible and infrared light, all of it low.

Source: Zhang and Wang, "Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark for
Visible-Infrared Person Re-identification", CVPR 2023. The paper's 13,909 test images are a misprint: the parts that it
gives add up to 46,767 with 15,846.
"""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.config import Record
from pipeline.datasets.layouts.folders import check_parts, files
from pipeline.datasets.layouts.lists import read_ids, read_named
from pipeline.datasets.listing import Listing
from pipeline.datasets.location import advice
from pipeline.images.table import Counts, Entry

PUBLISHED = Counts(
    train_images=30_921,
    train_identities=713,
    query_images=7_166,
    query_identities=351,
    gallery_images=8_680,
    gallery_identities=351,
)
CAMERAS = range(1, 10)
TRAIN_LISTS = {"idx/train_vis.txt": "visible", "idx/train_nir.txt": "infrared"}
TEST_LIST = "idx/test_id.txt"
TEST_FOLDERS = {"test_nir": ("infrared", "query"), "test_vis": ("visible", "gallery")}
NAME = re.compile(r"(?:.*/)?(\d{4})/[^/]*_c(\d+)_[^/]*\.jpg")
EXPECTED = "...<identity, 4 digits>/..._c<camera>_...jpg"

TITLE = "LLCM"
ADVICE = advice(
    "llcm",
    TITLE,
    "Ask its authors (Yukang Zhang, zhangyk@stu.xmu.edu.cn) with the signed agreement of github.com/ZYK100/LLCM; "
    "the folder to give is LLCM, which holds idx, test_vis and test_nir.",
)
CITATIONS = (
    """@inproceedings{zhang2023diverse,
  title     = {Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark for Visible-Infrared Person \
Re-identification},
  author    = {Zhang, Yukang and Wang, Hanzi},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2023}
}""",
)


class Settings(Record):
    """There is nothing to choose."""


def list_images(folder: Path) -> Listing:
    """Returns the images of both lists of training, and those of the test identities.

    Infrared images of test are queries, visible ones are the gallery. Cameras are those in the paths, and the same in
    both kinds of light.

    Raises:
        DataError: when a part is not there.
    """
    check_parts(folder, [*TRAIN_LISTS, TEST_LIST, *TEST_FOLDERS], ADVICE)
    entries: list[Entry] = []
    problems: list[str] = []
    for name, path, match in read_named(folder, list(TRAIN_LISTS), NAME, EXPECTED, problems):
        entries.append(Entry(path, int(match[1]), int(match[2]), TRAIN_LISTS[name], "train"))
    identities = read_ids(folder, TEST_LIST, problems)
    for place, (modality, role) in TEST_FOLDERS.items():
        found = [
            Entry(f"{place}/cam{camera}/{person:04d}/{file}", person, camera, modality, role)
            for person in identities
            for camera in CAMERAS
            for file in files(folder / place / f"cam{camera}" / f"{person:04d}")
        ]
        seen = {entry.person_id for entry in found}
        problems += [
            f"{TEST_LIST}: identity {person} has no image in {place}" for person in identities if person not in seen
        ]
        entries += found
    return Listing(
        "llcm", folder, entries, num_cameras=len(CAMERAS), protocol="llcm", published=PUBLISHED, problems=problems
    )
