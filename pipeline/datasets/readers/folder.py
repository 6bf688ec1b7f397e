"""Your own data: a folder for each identity, with its images in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.config import Record
from pipeline.datasets.layouts.folders import check_parts, files_below
from pipeline.datasets.layouts.identities import draw_train, own_listing, with_queries
from pipeline.datasets.listing import Listing
from pipeline.images.table import FORMATS, LARGEST_CAMERA, NO_CAMERA, DataError, Entry

TITLE = None
ADVICE = (
    "Put a folder for each identity there, with its images in it, or set REID_DATA_<NAME IN CAPITALS> to the folder "
    "that holds them (docs/your_data.md)"
)
CITATIONS: tuple[str, ...] = ()
SPLITS = ("train", "test", "val", "query", "gallery")
"""What folders are called that divide persons and are none."""


class Settings(Record):
    """How identities are divided, and where cameras are told.

    ``train_share`` of the identities train, drawn by ``seed``; the others are tested. ``camera`` is a regular
    expression whose only group is the camera's number in an image's path (after the identity's folder), such as
    ``_c(\\d+)``; null where cameras are not known, and then no gallery image is hidden from a query.
    """

    train_share: float
    seed: int
    camera: str | None


def list_images(folder: Path, *, train_share: float, seed: int, camera: str | None) -> Listing:
    """Returns the images below a folder, the name of its first part being the identity.

    Identities are numbered from 1 in the order of their folders' names.

    Raises:
        DataError: when the folder is not there, or the images do not make a data set.
        ValueError: when a setting can't be used.
    """
    pattern = _compiled(camera)
    check_parts(folder, [], ADVICE)
    found: dict[str, list[tuple[str, int]]] = {}
    paths, problems = files_below(folder)
    for path in paths:
        identity, _, rest = path.partition("/")
        match = pattern.search(rest) if pattern else None
        if not rest:
            problems.append(f"{path}: in no identity's folder")
        elif Path(path).suffix.lower() not in FORMATS:
            problems.append(f"{path}: named as none of {', '.join(FORMATS)}")
        elif pattern and not (match and match[1].isdecimal()):
            problems.append(f"{path}: tells no number of a camera, by settings.camera: {camera}")
        elif match and int(match[1]) > LARGEST_CAMERA:
            problems.append(f"{path}: tells the camera {match[1]}, expected {LARGEST_CAMERA:,} or less")
        else:
            found.setdefault(identity, []).append((path, int(match[1]) if match else NO_CAMERA))
    if not found:
        return own_listing(folder, [], problems)
    _check_persons(folder, found)
    train = draw_train(found, share=train_share, seed=seed)
    entries = [
        Entry(path, person, number, "visible", "train" if identity in train else "test")
        for person, (identity, images) in enumerate(sorted(found.items()), start=1)
        for path, number in images
    ]
    return own_listing(folder, with_queries(entries), problems)


def _check_persons(folder: Path, found: Mapping[str, Sequence[tuple[str, int]]]) -> None:
    """Ensures that the first folders can be persons: two or more, and none called like a side of a split."""
    if splits := [name for name in found if name.lower() in SPLITS]:
        raise DataError(
            folder,
            [
                f"{name}: a folder for a person was expected, not for a split; give the persons' folders alone, or a "
                "table of images, which has a column for it (docs/your_data.md)"
                for name in splits
            ],
        )
    if len(found) == 1:
        (name,) = found
        deeper = sorted({path.split("/")[1] for path, _ in found[name] if path.count("/") > 1})
        hint = f"; if {', '.join(deeper[:3])}{' and so on' * (len(deeper) > 3)} are the persons, give {folder / name}"
        raise DataError(folder, [f"expected folders for two persons or more, got {name} alone" + hint * bool(deeper)])


def _compiled(camera: str | None) -> re.Pattern[str] | None:
    """Returns the pattern of cameras, or None where they are not known."""
    try:
        pattern = re.compile(camera) if camera is not None else None
    except re.error as error:
        raise ValueError(f"settings.camera: {camera!r} is no regular expression ({error})") from None
    if pattern and pattern.groups != 1:
        raise ValueError(f"settings.camera: expected one group, which matches the camera's number, got {camera!r}")
    return pattern
