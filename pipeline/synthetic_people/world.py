"""The generated benchmark: which identities and images there are, and writing them as two published data sets lie."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from pipeline.config import Record
from pipeline.progress import ProgressLine
from pipeline.synthetic_people.camera import Camera, Sensor, hang_camera, kinds_of
from pipeline.synthetic_people.draws import Draws
from pipeline.synthetic_people.photo import Photo, Street, take
from pipeline.synthetic_people.traits import Traits, draw_sibling, draw_traits

MARKER = "people.json"
MASKS = "masks"
MARKET_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
SYSU_CAMERAS = 6
SYSU_INFRARED = (3, 6)
VALIDATION_SHARE = 0.25  # of the training identities, as SYSU-MM01 has 99 of 395
JUNK_SLIP, DISTRACTOR_SLIP = 4.0, 1.6
CHUNK = 48  # images per task

Role = Literal["train", "query", "gallery"]


class Population(Record):
    """How many identities there are, by how many pairs of identity and camera they are seen, and in how many images.

    Of a test population one image per appearance is a query and the others are gallery.
    """

    identities: int
    appearances: int
    images: int


class PeopleParams(Record):
    """All that makes a world; sizes are those of the images in pixels.

    ``siblings`` is the share of identities that have a sibling, who differs in one or two traits.
    """

    seed: int
    height: int
    width: int
    cameras: int
    train: Population
    test: Population
    distractors: int
    junk: int
    siblings: float
    street: Street
    sensor: Sensor


@dataclass(frozen=True)
class Shot:
    """One image to make: its randomness is a pure function of the seed, identity, camera and ``take``."""

    person: int
    camera: int
    take: int
    role: Role
    number: int

    @property
    def market_path(self) -> str:
        """The path under the Market-1501 folder."""
        identity = "-1" if self.person < 0 else f"{self.person:04d}"
        return f"{MARKET_FOLDERS[self.role]}/{identity}_c{self.camera}s1_{self.number:06d}_00.jpg"

    @property
    def sysu_path(self) -> str:
        """The path under the SYSU-MM01 folder."""
        return f"cam{self.camera}/{self.person:04d}/{self.take + 1:04d}.jpg"


def mask_path(market_path: str) -> Path:
    """Returns where the mask of an image of the Market-1501 folder is, below the world's."""
    return Path(MASKS, market_path).with_suffix(".png")


def stream(seed: int, *what: int) -> Draws:
    """Returns the generator of one thing of the world."""
    return Draws(seed, *(part + 1 for part in what))


@lru_cache(maxsize=2)
def identities(params: PeopleParams) -> tuple[Traits, ...]:
    """Returns the traits of every identity, training before test; siblings follow one another."""
    people: list[Traits] = []
    for count in (params.train.identities, params.test.identities):
        pairs = round(count * params.siblings / 2)
        for place in range(count):
            rng = stream(params.seed, 1, len(people))
            sibling = place < 2 * pairs and place % 2 == 1
            people.append(draw_sibling(rng, people[-1]) if sibling else draw_traits(rng))
    return tuple(people)


@lru_cache(maxsize=8)
def camera(params: PeopleParams, number: int) -> Camera:
    """Returns a camera of the world, painted on first use."""
    ground, wall = kinds_of(stream(params.seed, 2, 0), params.cameras)[number - 1]
    return hang_camera(stream(params.seed, 2, number), params.sensor, ground, wall)


def _spread(rng: Draws, total: int, bins: int) -> list[int]:
    """Returns ``total`` split into ``bins`` counts that differ by at most one."""
    more = set(rng.shuffled(range(bins))[: total % bins])
    return [total // bins + (place in more) for place in range(bins)]


def _appearances(params: PeopleParams, population: Population, first: int) -> Iterator[tuple[int, int, int]]:
    """Yields identity, camera and number of images for every appearance of a population."""
    rng = stream(params.seed, 3, first)
    cameras = _spread(rng, population.appearances, population.identities)
    images = iter(_spread(rng, population.images, population.appearances))
    for offset, seen in enumerate(cameras):
        for number in sorted(rng.shuffled(range(params.cameras))[:seen]):
            yield first + offset, number + 1, next(images)


def shots(params: PeopleParams) -> list[Shot]:
    """Returns every image of the world.

    Raises:
        ValueError: when the counts do not fit each other.
    """
    found: list[Shot] = []
    for name, population in (("train", params.train), ("test", params.test)):
        _check(name, population, params.cameras)
        first = 1 if name == "train" else params.train.identities + 1
        for person, number, count in _appearances(params, population, first):
            for index in range(count):
                role: Role = "train" if name == "train" else "query" if index == 0 else "gallery"
                found.append(Shot(person, number, index, role, len(found) + 1))
    for person, count in ((0, params.distractors), (-1, params.junk)):
        for index in range(count):
            found.append(Shot(person, 1 + index % params.cameras, index, "gallery", len(found) + 1))
    return found


def _check(name: str, population: Population, cameras: int) -> None:
    """Raises a ValueError when a population can't be seen as often as it says."""
    low, high = 2 * population.identities, cameras * population.identities
    if not low <= population.appearances <= high:
        raise ValueError(
            f"people.{name}: {population.appearances} appearances of {population.identities} identities before "
            f"{cameras} cameras: expected {low} (two cameras each) to {high} (all cameras)"
        )
    least = population.appearances * (2 if name == "test" else 1)
    if population.images < least:
        raise ValueError(
            f"people.{name}: {population.images} images for {least} or more: give every appearance its own"
        )


def photograph(params: PeopleParams, shot: Shot) -> Photo:
    """Returns the image of a shot, as the camera sees it in visible and in infrared light, and the person's mask."""
    rng = stream(params.seed, 4, shot.person, shot.camera, shot.take)
    traits: Traits | None
    slip = 1.0
    if shot.person > 0:
        traits = identities(params)[shot.person - 1]
    else:
        traits = draw_traits(rng) if shot.person < 0 or rng.random() < 0.6 else None
        slip = JUNK_SLIP if shot.person < 0 else DISTRACTOR_SLIP
    return take(
        camera(params, shot.camera),
        traits,
        rng,
        street=params.street,
        sensor=params.sensor,
        size=(params.height, params.width),
        slip=slip,
    )


def _render_chunk(params: PeopleParams, folder: Path, chunk: list[Shot]) -> int:
    """Writes the images of some shots in both layouts and returns how many shots it was."""
    for shot in chunk:
        visible, infrared, mask = photograph(params, shot)
        quality = camera(params, shot.camera).jpeg
        file = folder / "market1501" / shot.market_path
        visible.save(file, quality=quality)
        mask.save(folder / mask_path(shot.market_path))
        if shot.person > 0 and shot.camera <= SYSU_CAMERAS:
            place = folder / "sysu_mm01" / shot.sysu_path
            place.parent.mkdir(parents=True, exist_ok=True)
            if shot.camera in SYSU_INFRARED:
                infrared.save(place, quality=quality)
            else:
                shutil.copyfile(file, place)
    return len(chunk)


def _write_splits(params: PeopleParams, found: Iterable[Shot], folder: Path) -> None:
    """Writes SYSU-MM01's lists of identities: those seen in visible and in infrared light."""
    seen: dict[int, set[bool]] = {}
    for shot in found:
        if shot.person > 0 and shot.camera <= SYSU_CAMERAS:
            seen.setdefault(shot.person, set()).add(shot.camera in SYSU_INFRARED)
    both = sorted(person for person, kinds in seen.items() if len(kinds) == 2)
    train = [person for person in both if person <= params.train.identities]
    held = round(len(train) * VALIDATION_SHARE)
    lists = {
        "train_id": train[: len(train) - held],
        "val_id": train[len(train) - held :],
        "test_id": [person for person in both if person > params.train.identities],
    }
    folder.mkdir(parents=True)
    for name, people in lists.items():
        (folder / f"{name}.txt").write_text(",".join(str(person) for person in people) + "\n")


def digest(params: PeopleParams) -> str:
    """Returns what names a world: a hash of its parameters and of the code that draws it."""
    code = hashlib.sha256(params.model_dump_json().encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        code.update(source.read_bytes())
    return code.hexdigest()


def render(params: PeopleParams, folder: Path, *, workers: int) -> None:
    """Ensures ``folder`` holds the world: ``market1501/`` and ``sysu_mm01/`` as the real data sets lie on disk.

    ``masks/`` has the true mask of each image of ``market1501/``.

    The files are the same to the byte for any number of ``workers`` (processes). The folder appears whole or not at
    all; one that already holds this very world is left as it is, and one that holds another world is replaced.

    Raises:
        ValueError: when the folder holds something that was not made here, or the counts do not fit each other.
    """
    name = digest(params)
    marker = folder / MARKER
    if marker.is_file():
        if json.loads(marker.read_text())["digest"] == name:
            print(f"people: {folder} already holds this world", file=sys.stderr)
            return
        print(f"people: {folder} holds another world, which is replaced", file=sys.stderr)
    elif folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder}: expected an empty folder or a world made here ({MARKER}); choose another folder")
    found = shots(params)
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    for part in MARKET_FOLDERS.values():
        (draft / "market1501" / part).mkdir(parents=True)
        (draft / MASKS / part).mkdir(parents=True)
    _write_splits(params, found, draft / "sysu_mm01" / "exp")
    _render_all(params, found, draft, workers)
    (draft / MARKER).write_text(json.dumps({"digest": name, "params": params.model_dump()}, indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def _render_all(params: PeopleParams, found: list[Shot], folder: Path, workers: int) -> None:
    """Writes all images, a line on stderr every few seconds; neighbours in the queue share a camera."""
    queue = sorted(found, key=lambda shot: shot.camera)
    chunks = [queue[start : start + CHUNK] for start in range(0, len(queue), CHUNK)]
    progress, done = ProgressLine("rendering people"), 0
    for count in _run(params, folder, chunks, workers):
        done += count
        progress(done, len(found))


def _run(params: PeopleParams, folder: Path, chunks: list[list[Shot]], workers: int) -> Iterator[int]:
    """Yields the size of each chunk once it is written."""
    if workers == 1:
        for chunk in chunks:
            yield _render_chunk(params, folder, chunk)
        return
    deaf = (signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches these processes too
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=signal.signal, initargs=deaf) as pool:
        try:
            for job in [pool.submit(_render_chunk, params, folder, chunk) for chunk in chunks]:
                yield job.result()
        finally:
            pool.shutdown(cancel_futures=True)
