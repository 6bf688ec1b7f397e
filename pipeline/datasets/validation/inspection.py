"""One image file: its content read once, for its digest, its header and its pixels."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose
from PIL.TiffImagePlugin import TiffImageFile

from pipeline.datasets.validation.findings import Finding
from pipeline.images.table import FORMATS

KNOWN = (*sorted({*FORMATS.values(), "GIF"}),)
"""What Pillow may try: formats with a decoder of pixels alone, and none that runs a program."""
SAME = {"MPO": "JPEG"}
"""A JPEG file that has a second picture behind the first, as some cameras write it."""
PAGED = ("GIF", "TIFF", "WEBP")
"""Formats of which one file may hold several pictures."""
DEEP = ("I", "F")
"""How the modes of Pillow begin in which a channel has more than 8 bits: RGB would cut it off."""
PNG_BITS, TIFF_BITS = 24, 258
"""Where a file says how many bits a channel has: the byte of a PNG's header, the tag of a TIFF."""
DESCRIPTIONS = (b"Exif\0\0", b"eXIf", b"EXIF", b"tiff:Orientation")
"""What a photo's own description begins with: in JPEG, PNG and WebP, and as XMP. Pillow itself turns a TIFF."""
ORIENTATION, UPRIGHT = 0x0112, 1
"""The description's entry for the way that the camera was held, and its value for an upright photo."""
TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What makes a photo upright, by its orientation, as ``ImageOps.exif_transpose`` of Pillow does it."""


class UnusableError(ValueError):
    """A file that gives no pixels; its one argument is the finding."""

    @property
    def finding(self) -> Finding:
        """What is wrong with it."""
        found: Finding = self.args[0]
        return found

    def __str__(self) -> str:
        return self.finding.text


@dataclass(frozen=True)
class Facts:
    """What is to be known of an image file: ``sha256`` of its content and ``pixels``, that of its size and RGB pixels.

    Two files with the same ``pixels`` show the same, however they are stored. Sizes are in pixels. ``sha256`` is that
    of ``digest``: of a photo that was turned it is another than that of its file.
    """

    sha256: str
    format: str
    width: int
    height: int
    pixels: str


def digest(content: bytes, turn: int = UPRIGHT) -> str:
    """Returns the SHA-256 of a file's content; of a photo that is taken turned, with its orientation behind it."""
    known = hashlib.sha256(content)
    if turn != UPRIGHT:
        known.update(b" turned by orientation %d" % turn)
    return known.hexdigest()


def decode(content: bytes, name: str, turn: int = UPRIGHT) -> tuple[Facts, np.ndarray]:
    """Returns the facts of a file's content, and its pixels, uint8 ``[H, W, 3]``. ``name`` is what findings call it.

    ``turn`` is the orientation of a photo that is to be turned upright.

    Raises:
        UnusableError: for content that is empty, no image, truncated, or of more than 8 bits per channel.
    """
    if not content:
        raise UnusableError(Finding("empty", f"{name}: an empty file"))
    try:
        with Image.open(io.BytesIO(content), formats=KNOWN) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        why = "of no known format" if isinstance(error, UnidentifiedImageError) else error
        text = f"{name}: not a readable image, truncated or damaged ({why})"
        raise UnusableError(Finding("unreadable", text)) from None
    if too_deep := _too_deep(image, content):
        raise UnusableError(Finding("deep", f"{name}: {too_deep}, expected 8 bits per channel"))
    kind = SAME.get(str(image.format), str(image.format))
    seen = image if turn == UPRIGHT else image.transpose(TURNS[turn])
    colours = (seen if seen.mode == "RGB" else seen.convert("RGB")).tobytes()
    width, height = seen.size
    shown = hashlib.sha256(b"%d %d " % (width, height))
    shown.update(colours)
    pixels = np.frombuffer(colours, np.uint8).reshape(height, width, 3)
    return Facts(digest(content, turn), kind, width, height, shown.hexdigest()), pixels


def _too_deep(image: Image.Image, content: bytes) -> str:
    """Returns the depth of an image that has more than 8 bits per channel, in words; '' of all others."""
    bits = 8
    if image.format == "PNG":
        bits = content[PNG_BITS]
    elif isinstance(image, TiffImageFile):
        bits = max(image.tag_v2.get(TIFF_BITS, (bits,)))
    if bits > 8:
        return f"{bits} bits per channel"
    return f"pixels of mode {image.mode}" if image.mode.startswith(DEEP) else ""


def mislabelled(name: str, facts: Facts) -> list[Finding]:
    """Returns a finding when the ending of a file's name says another format than its content has."""
    suffix = name[name.rfind(".") :]
    if FORMATS.get(suffix.lower()) == facts.format:
        return []
    return [Finding("mislabelled", f"{name}: named {suffix} but holds a {facts.format} image")]


def orientation(content: bytes) -> int:
    """Returns how a photo says that it is to be shown, 1 to 8 as Exif counts; 1, upright, where it says nothing."""
    if not any(mark in content for mark in DESCRIPTIONS):
        return UPRIGHT
    try:
        with Image.open(io.BytesIO(content), formats=KNOWN) as image:
            said = UPRIGHT if image.format == "TIFF" else image.getexif().get(ORIENTATION, UPRIGHT)
    except Exception:  # a damaged description makes the parser fail anywhere; the pixels may be sound
        return UPRIGHT
    return said if said in TURNS else UPRIGHT


def turned(name: str, content: bytes, *, is_upright: bool) -> list[Finding]:
    """Returns a finding when a photo says that it is to be shown turned or mirrored, as phones make them.

    ``is_upright``: whether it was turned so.
    """
    if (turn := orientation(content)) == UPRIGHT:
        return []
    return [Finding("upright" if is_upright else "turned", f"{name}: its EXIF orientation is {turn}")]


def paged(name: str, content: bytes, facts: Facts) -> list[Finding]:
    """Returns a finding when a file holds several pictures, as an animation or a scan of pages does."""
    if facts.format not in PAGED:
        return []
    with Image.open(io.BytesIO(content), formats=KNOWN) as image:
        count = getattr(image, "n_frames", 1)
    return [Finding("paged", f"{name}: {count} pictures in one file")] * (count > 1)
