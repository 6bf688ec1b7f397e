"""Roles of images that come without: which identities are tested, and which of their images are queries."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.datasets.listing import Listing
from pipeline.images.table import DISTRACTOR, NO_CAMERA, Entry


def draw_train(identities: Iterable[str], *, share: float, seed: int) -> set[str]:
    """Returns the ``share`` of the identities that train, rounded, at least one on each side.

    They are those that come first by the SHA-256 of "<seed> <identity>": the order of the identities and the machine
    do not matter, and neither do the images.

    Raises:
        ValueError: when ``share`` is not between 0 and 1, or there are fewer than two identities.
    """
    if not 0 < share < 1:
        raise ValueError(f"settings.train_share: expected a share between 0 and 1, got {share}")

    def place(name: str) -> bytes:
        return hashlib.sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest()

    ordered = sorted(set(identities), key=place)
    if len(ordered) < 2:
        raise ValueError(
            f"expected two identities or more, to train on some and test on others, got {', '.join(ordered) or 'none'}"
        )
    return set(ordered[: min(max(round(share * len(ordered)), 1), len(ordered) - 1)])


def with_queries(entries: Sequence[Entry]) -> list[Entry]:
    """Returns the entries, those of role ``test`` made ``query`` or ``gallery``.

    Of an identity's test images by a camera the first is a query when others stay behind for the gallery. Where no
    camera has a second image of an identity, its first image of all is the query. An identity whose images are all by
    one camera, or that has a single image, is in the gallery only.
    """
    tested: dict[int, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        if entry.role == "test" and entry.person_id != DISTRACTOR:
            tested[entry.person_id][entry.camera_id].append(entry.path)
    queries: set[str] = set()
    for cameras in tested.values():
        several = [paths[0] for paths in cameras.values() if len(paths) > 1]
        if len(cameras) > 1 or (NO_CAMERA in cameras and several):
            queries.update(several or next(iter(cameras.values())))
    role = {True: "query", False: "gallery"}
    return [replace(entry, role=role[entry.path in queries]) if entry.role == "test" else entry for entry in entries]


def own_listing(folder: Path, entries: Sequence[Entry], problems: Sequence[str], notes: Sequence[str] = ()) -> Listing:
    """Returns the listing of somebody's own images, whose cameras may be unknown; nobody to look for is a problem."""
    cameras = {entry.camera_id for entry in entries}
    nobody = [
        "no tested identity can be looked for: that needs two images of it"
        + f", by two of the cameras {', '.join(map(str, sorted(cameras)))}, or no cameras" * (cameras != {NO_CAMERA})
    ] * bool(entries and not any(entry.role == "query" for entry in entries))
    return Listing(
        folder.name,
        folder,
        entries,
        num_cameras=max(cameras, default=NO_CAMERA),
        protocol="no_cameras" if cameras <= {NO_CAMERA} else "market",
        turns_upright=True,
        problems=[*problems, *nobody],
        notes=notes,
    )
