"""From a folder that was understood to what params.yaml has to say of it: a data set, and a training of its size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import parse
from pipeline.datasets.layouts.folders import JUNK
from pipeline.datasets.listing import Listing
from pipeline.datasets.reader import find
from pipeline.datasets.recognition import WHAT, Understood, as_table, number_cameras
from pipeline.images.table import DISTRACTOR, DataError

STEPS = 200
"""Of a training on one's own images. On 108 rendered images of 12 persons, 60 and 100 steps end alike, 12 far below."""
MOST_EPOCHS = 100
FEW_PERSONS = 30
"""To train on: below that a network learns these persons, and little of what tells others apart."""
SHOWN = 5


def describe(understood: Understood) -> Iterator[str]:
    """Yields what a folder was taken for, in lines for people."""
    yield WHAT[understood.kind]
    nobody = {JUNK, DISTRACTOR} if understood.kind == "names" else set()
    seen = [one for one in understood.seen if not (nobody and int(one.person) in nobody)]
    if seen:
        of_person: dict[str, set[str]] = {}
        for one in seen:
            of_person.setdefault(one.person, set()).add(one.camera)
        yield f"  {len(of_person):,} persons, {len(seen):,} images: {_shown(sorted(of_person))}"
        if others := len(understood.seen) - len(seen):
            yield f"  {others:,} images of nobody: those named {JUNK} are left out, those named 0 are distractors"
        yield f"  {_cameras(understood)}"
        several = sum(len(cameras) > 1 for cameras in of_person.values())
        if understood.camera or understood.kind != "persons":
            yield f"  {several:,} persons were seen by two cameras or more"
        if roles := sorted({one.role for one in seen} - {""}):
            parts = (f"{sum(one.role == role for one in seen):,} {role}" for role in roles)
            yield f"  divided already: {', '.join(parts)}"
    if understood.others:
        yield f"  {len(understood.others):,} files are no images by their names: {_shown(understood.others)}"


def _cameras(understood: Understood) -> str:
    names = sorted({one.camera for one in understood.seen})
    if names == [""]:
        return "no cameras: no pattern tells one in the path of every image. If yours do, set reader.camera"
    first = understood.seen[0]
    told = f"by {understood.camera}" if understood.camera else "by their folders or names"
    numbers = number_cameras(set(names))
    as_numbers = [name if name == str(numbers[name]) else f"{name} as {numbers[name]}" for name in names]
    return f"{len(names):,} cameras, told {told}: {_shown(as_numbers)}. {first.path} is by {first.camera}"


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + ", ..." * (len(names) > SHOWN)


def lay(understood: Understood, folder: Path, place: Path) -> list[Path]:
    """Ensures that the data set lies at ``place``: as a link, or as a table beside a link to its images.

    Returns what was made for it, which is nothing where the folder is there itself.

    Raises:
        DataError: when something else lies there.
    """
    if place.exists() and place.samefile(folder) and understood.is_plain:
        return []
    if place.exists() or place.is_symlink():
        raise DataError(place, ["lies there already: choose another --name, or remove it"])
    place.parent.mkdir(parents=True, exist_ok=True)
    if understood.is_plain:
        place.symlink_to(folder.resolve())
        return [place]
    images, table = place / "images", place / "images.csv"
    place.mkdir()
    images.symlink_to(folder.resolve())
    as_table(understood, images.name).to_csv(table, index=False)
    return [images, table, place]


def unlay(made: Sequence[Path]) -> None:
    """Ensures that what ``lay`` has made is no more; nothing else is touched."""
    for path in made:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def data_block(understood: Understood, *, height: int, width: int) -> dict[str, Any]:
    """Returns the block of the data set."""
    reader: dict[str, Any] = {"kind": "image_list", "train_share": 0.5, "seed": 1, "zero": "distractor"}
    if understood.kind == "persons" and understood.is_plain:
        reader = {"kind": "folder", "train_share": 0.5, "seed": 1, "camera": understood.camera}
    return {
        "reader": reader,
        "published_counts": False,
        "splits": 1,
        "height": height,
        "width": width,
        "resampling": "bicubic",
        "people": None,
    }


def list_laid(place: Path, block: Mapping[str, Any], name: str) -> Listing:
    """Returns what the reader of a data set's block finds at a place.

    Raises:
        DataError: when it makes no data set.
    """
    reader = find(block["reader"]["kind"])
    own = {key: value for key, value in block["reader"].items() if key != "kind"}
    return reader.list_images(place, **parse(reader.Settings, own, f"studies.data.{name}.reader").model_dump())


def sized(recipe: Mapping[str, Any], listing: Listing) -> tuple[dict[str, Any], list[str]]:
    """Returns what has to change in a recipe for the number of images there are to train on, and what to expect.

    A group has no more persons than there are. There are ``STEPS`` steps or more, and a tenth of them warm up.

    Raises:
        DataError: when there are fewer than two persons to train on.
    """
    train = [entry for entry in listing.entries if entry.role == "train" and entry.person_id != DISTRACTOR]
    persons = len({entry.person_id for entry in train})
    if persons < 2:
        raise DataError(listing.folder, [f"too little to learn from: expected 2 persons to train on, got {persons}"])
    batch = recipe["settings"]["batch"]
    identities = min(batch["identities"], persons)
    steps = max(1, len(train) // (batch["groups"] * identities * batch["images"]))
    epochs = min(max(math.ceil(STEPS / steps), recipe["training"]["epochs"]), MOST_EPOCHS)
    change: dict[str, Any] = {"training": {"epochs": epochs, "warmup_steps": {"share": 0.1}}}
    if identities != batch["identities"]:
        change["settings"] = {"batch": {"identities": identities}}
    run = f"{epochs} epochs of {steps} step" + "s" * (steps > 1)
    said = [f"{len(train):,} images of {persons:,} persons to train on: {run}"]
    if persons < FEW_PERSONS:
        said.append(
            f"that is little to learn from: of {persons} persons a network learns what tells these apart, not what "
            "tells people apart. Compare its scores with those of raw pixels (reid references), and give "
            f"{FEW_PERSONS} persons or more to train on"
        )
    return change, said
