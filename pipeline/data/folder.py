"""Your own data: a folder for each identity, with its images in it."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.config import Record
from pipeline.data.layouts.folders import LITTER, check_parts
from pipeline.data.layouts.identities import draw_train, own_listing, with_queries
from pipeline.data.listing import Listing
from pipeline.data.table import FORMATS, NO_CAMERA, Entry

ADVICE = (
    "Put a folder for each identity there, with its images in it, or set REID_DATA_<NAME IN CAPITALS> to the folder "
    "that holds them (docs/your_data.md)"
)


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
    problems: list[str] = []
    for path in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()):
        identity, _, rest = path.partition("/")
        match = pattern.search(rest) if pattern else None
        if Path(path).name in LITTER:
            continue
        if not rest:
            problems.append(f"{path}: in no identity's folder")
        elif Path(path).suffix.lower() not in FORMATS:
            problems.append(f"{path}: named as none of {', '.join(FORMATS)}")
        elif pattern and not (match and match[1].isdecimal()):
            problems.append(f"{path}: tells no number of a camera, by settings.camera: {camera}")
        else:
            found.setdefault(identity, []).append((path, int(match[1]) if match else NO_CAMERA))
    if not found:
        return own_listing(folder, [], problems)
    train = draw_train(found, share=train_share, seed=seed)
    entries = [
        Entry(path, person, number, "visible", "train" if identity in train else "test")
        for person, (identity, images) in enumerate(sorted(found.items()), start=1)
        for path, number in images
    ]
    return own_listing(folder, with_queries(entries), problems)


def _compiled(camera: str | None) -> re.Pattern[str] | None:
    """Returns the pattern of cameras, or None where they are not known."""
    try:
        pattern = re.compile(camera) if camera is not None else None
    except re.error as error:
        raise ValueError(f"settings.camera: {camera!r} is no regular expression ({error})") from None
    if pattern and pattern.groups != 1:
        raise ValueError(f"settings.camera: expected one group, which matches the camera's number, got {camera!r}")
    return pattern
