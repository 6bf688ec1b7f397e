"""CUHK03-NP: 1,467 persons seen by pairs of cameras, boxes drawn by hand or found by a detector, new protocol.

Source: Li et al., "DeepReID", CVPR 2014; the protocol: Zhong et al., "Re-ranking Person Re-identification with
k-reciprocal Encoding", CVPR 2017.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from PIL import Image

from pipeline.config import Record
from pipeline.datasets.layouts.folders import check_parts, files
from pipeline.datasets.layouts.matlab import read_variables
from pipeline.datasets.listing import Listing
from pipeline.datasets.location import UNPACKED, advice
from pipeline.datasets.threads import in_threads
from pipeline.images.table import Counts, DataError, Entry
from pipeline.locking import exclusive_lock
from pipeline.outputs import why_not_written

PUBLISHED = {
    "labeled": Counts(7_368, 767, 1_400, 700, 5_328, 700),
    "detected": Counts(7_365, 767, 1_400, 700, 5_332, 700),
}
"""Counted from the protocol's own files."""
ROLES = {"train": "train_idx", "query": "query_idx", "gallery": "gallery_idx"}
"""The role of each list of row numbers, from 1, in the protocol's file."""
NAME = re.compile(r"(\d+)_(\d+)_(\d+)_(\d+)\.png")
RAW_FILES = ("cuhk03_release/cuhk-03.mat", "cuhk-03.mat")
FIRST_VIEW = 5  # of the ten images of an identity: the first five are by one camera of the pair

TITLE = "CUHK03"
ADVICE = advice(
    "cuhk03",
    TITLE,
    "Ask its authors (Chinese University of Hong Kong, ee.cuhk.edu.hk/~xgwang/CUHK_identification.html) for "
    "cuhk03_release, and take cuhk03_new_protocol_config_labeled.mat and _detected.mat from evaluation/data/CUHK03 of "
    "github.com/zhunzhong07/person-re-ranking; the folder to give is the one that holds all of it.",
)
CITATIONS = (
    """@inproceedings{li2014deepreid,
  title     = {DeepReID: Deep Filter Pairing Neural Network for Person Re-identification},
  author    = {Li, Wei and Zhao, Rui and Xiao, Tong and Wang, Xiaogang},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2014}
}""",
    """@inproceedings{zhong2017reranking,
  title     = {Re-ranking Person Re-identification with k-reciprocal Encoding},
  author    = {Zhong, Zhun and Zheng, Liang and Cao, Donglin and Li, Shaozi},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2017}
}""",
)


class Settings(Record):
    """``boxes``: ``labeled`` by hand, or ``detected``: two data sets with numbers of their own."""

    boxes: Literal["labeled", "detected"]


def list_images(folder: Path, *, boxes: str) -> Listing:
    """Returns the images that the new protocol names, from ``images_<boxes>`` or, without it, from cuhk-03.mat.

    The images of cuhk-03.mat are written once, as PNG, to ``data/unpacked/cuhk03``. Cameras are the two views of a
    pair, as in every code for this protocol, though five pairs have seen the identities.

    Raises:
        DataError: when a part is not there, or is not what it is named.
    """
    protocol = f"cuhk03_new_protocol_config_{boxes}.mat"
    check_parts(folder, [protocol], ADVICE)
    place = f"images_{boxes}"
    source = folder if files(folder / place) else _unpack(folder, boxes)
    entries, problems = _entries(folder / protocol, place)
    return Listing(f"cuhk03_np_{boxes}", source, entries, num_cameras=2, published=PUBLISHED[boxes], problems=problems)


def _entries(file: Path, place: str) -> tuple[list[Entry], list[str]]:
    """Returns the images of a protocol's file, and what is wrong."""
    try:
        filelist, labels, *lists = read_variables(file, ["filelist", "labels", *ROLES.values()])
    except ValueError as error:
        raise DataError(file, [f"not the new protocol: {error}"]) from None
    names, labels = [str(np.ravel(name)[0]) for name in filelist.ravel()], labels.ravel().astype(int)
    rows = {role: numbers.ravel().astype(int) for role, numbers in zip(ROLES, lists, strict=True)}
    entries, problems = [], []
    if len(names) != len(labels):
        raise DataError(file, [f"{len(names)} names for {len(labels)} labels"])
    for role, numbers in rows.items():
        outside = numbers[(numbers < 1) | (numbers > len(names))]
        if outside.size:
            problems.append(f"{file.name}: {ROLES[role]}: {outside[0]}, outside 1..{len(names)}")
            continue
        for name, label in zip([names[row - 1] for row in numbers], labels[numbers - 1].tolist(), strict=True):
            if match := NAME.fullmatch(name):
                entries.append(Entry(f"{place}/{name}", label, int(match[3]), "visible", role))
            else:
                problems.append(f"{file.name}: {name}: not named as <pair>_<identity>_<view>_<image>.png")
    return entries, problems


def _unpack(folder: Path, boxes: str) -> Path:
    """Ensures that the images of cuhk-03.mat are in ``data/unpacked/cuhk03/images_<boxes>``; returns its parent."""
    raw = next((folder / name for name in RAW_FILES if (folder / name).is_file()), None)
    if raw is None:
        raise DataError(folder, [f"expected images_{boxes} or {RAW_FILES[0]} in it. {ADVICE}"])
    target = UNPACKED / "cuhk03" / f"images_{boxes}"
    with exclusive_lock(target, "unpacked", waits=True):
        _unpack_once(raw, boxes, target)
    return target.parent


def _unpack_once(raw: Path, boxes: str, target: Path) -> None:
    marker = target.with_suffix(".json")
    made_of = {"size": raw.stat().st_size, "modified": raw.stat().st_mtime_ns}
    if target.is_dir() and marker.is_file() and json.loads(marker.read_text()) == made_of:
        return
    marker.unlink(missing_ok=True)
    draft = target.with_suffix(".partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        with h5py.File(raw) as file:
            written = in_threads(
                lambda cell: _write(file[cell[1]][:].T, draft / cell[0]),
                list(_cells(file, boxes)),
                workers=os.cpu_count() or 1,
                what=f"unpacking {raw.name}",
            )
    except (OSError, KeyError, TypeError, ValueError) as error:
        if why_not_written(error):
            raise
        raise DataError(raw, [f"not CUHK03's file, truncated or damaged ({error})"]) from None
    if (there := len(list(draft.iterdir()))) != sum(written):
        raise DataError(raw, [f"{there:,} of its {sum(written):,} images are in {draft}: who removed them?"])
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    marker.write_text(json.dumps(made_of))


def _cells(file: Any, boxes: str) -> Iterator[tuple[str, Any]]:
    """Yields name and reference of every cell of cuhk-03.mat.

    ``file[boxes]`` refers to a cell array [identities, 10] for each pair of cameras; HDF5 has every array transposed.
    """
    for pair, reference in enumerate(file[boxes][0], start=1):
        for person, row in enumerate(file[reference][:].T, start=1):
            for number, cell in enumerate(row, start=1):
                yield f"{pair}_{person:03d}_{1 if number <= FIRST_VIEW else 2}_{number:02d}.png", cell


def _write(pixels: np.ndarray, path: Path) -> bool:
    """Writes an image [H, W, 3] and returns whether it is one; the cells of those that are missing are not."""
    is_image = pixels.ndim == 3 and pixels.size > 0
    if is_image:
        Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    return is_image
