"""A contact sheet of a rendered world, as the README shows it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pipeline.config import parse
from pipeline.synthetic_people.world import MARKER, SYSU_INFRARED, PeopleParams, Shot, shots

PAPER, INK, FAINT = (250, 249, 246), (40, 40, 42), (120, 120, 122)
GAP, MARGIN, HEADING = 3, 18, 40
QUALITY = 82


def contact_sheet(folder: Path, path: Path) -> None:
    """Writes a picture of the world in ``folder``: people by camera, siblings side by side, visible beside infrared.

    Raises:
        ValueError: when the folder holds no rendered world.
    """
    marker = folder / MARKER
    if not marker.is_file():
        raise ValueError(f"{folder}: expected a rendered world ({MARKER}); run `dvc repro prepare@people` first")
    params = parse(PeopleParams, json.loads(marker.read_text())["params"], str(marker))
    album = Album(params, folder)
    first = params.train.identities + 1
    pairs = round(params.test.identities * params.siblings / 2)
    alone = [first + 2 * pairs + place for place in range(params.test.identities - 2 * pairs)]
    panels = [
        ("Identities by camera", "rows: people; columns: six cameras, two images each", album.rows(alone[:4], 2)),
        (
            "Siblings",
            "left and right: two people who differ in one or two traits",
            [album.row(first + 2 * pair, 1) + album.row(first + 2 * pair + 1, 1) for pair in range(min(4, pairs))],
        ),
        (
            "Visible and infrared",
            "the same moments in visible and in infrared light, by the infrared cameras",
            [album.both(person) for person in alone[4:6]],
        ),
    ]
    _compose(panels, params.width, params.height).save(path, quality=QUALITY, optimize=True)


class Album:
    """The images of a rendered world by who and where."""

    def __init__(self, params: PeopleParams, folder: Path):
        self.folder = folder
        self.cameras = params.cameras
        self.shots: dict[tuple[int, int], list[Shot]] = {}
        for shot in shots(params):
            self.shots.setdefault((shot.person, shot.camera), []).append(shot)

    def row(self, person: int, images: int) -> list[Image.Image]:
        """Returns up to ``images`` images of a person from each camera."""
        found = [
            shot for number in range(1, self.cameras + 1) for shot in self.shots.get((person, number), [])[:images]
        ]
        return [Image.open(self.folder / "market1501" / shot.market_path) for shot in found]

    def rows(self, people: Iterable[int], images: int) -> list[list[Image.Image]]:
        """Returns one row per person."""
        return [self.row(person, images) for person in people]

    def both(self, person: int) -> list[Image.Image]:
        """Returns the person's images of the infrared cameras, each after its visible twin."""
        found: list[Image.Image] = []
        for shot in (shot for number in SYSU_INFRARED for shot in self.shots.get((person, number), [])[:3]):
            found.append(Image.open(self.folder / "market1501" / shot.market_path))
            found.append(Image.open(self.folder / "sysu_mm01" / shot.sysu_path))
        return found


def _compose(panels: list[tuple[str, str, list[list[Image.Image]]]], width: int, height: int) -> Image.Image:
    """Returns the panels under one another, each with its heading."""
    columns = max(len(row) for _, _, rows in panels for row in rows)
    total = sum(HEADING + len(rows) * (height + GAP) for _, _, rows in panels)
    sheet = Image.new("RGB", (2 * MARGIN + columns * (width + GAP) - GAP, 2 * MARGIN + total), PAPER)
    pen = ImageDraw.Draw(sheet)
    y = MARGIN
    for title, caption, rows in panels:
        pen.text((MARGIN, y + 4), title, fill=INK, font=ImageFont.load_default(17))
        indent = pen.textlength(title, font=ImageFont.load_default(17)) + 12
        pen.text((MARGIN + indent, y + 8), caption, fill=FAINT, font=ImageFont.load_default(13))
        y += HEADING - 8
        for row in rows:
            for column, image in enumerate(row):
                sheet.paste(image, (MARGIN + column * (width + GAP), y))
            y += height + GAP
        y += 8
    return sheet
