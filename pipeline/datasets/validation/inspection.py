"""One image file: its content read once, for its digest, its header and its pixels."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from pipeline.datasets.validation.findings import Finding
from pipeline.images.table import FORMATS

KNOWN = (*sorted(set(FORMATS.values())), "GIF", "TIFF", "WEBP")
"""What Pillow may try: formats with a decoder of pixels alone, and none that runs a program."""
SAME = {"MPO": "JPEG"}
"""A JPEG file that has a second picture behind the first, as some cameras write it."""
DEEP = ("I", "F")
"""How the modes of Pillow begin in which a channel has more than 8 bits: RGB would cut it off."""
EXIF, ORIENTATION, UPRIGHT = b"Exif\0\0", 0x0112, 1
"""What a photo's own description begins with, and its entry for the way that the camera was held."""


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

    Two files with the same ``pixels`` show the same, however they are stored. Sizes are in pixels.
    """

    sha256: str
    format: str
    width: int
    height: int
    pixels: str


def digest(content: bytes) -> str:
    """Returns the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def decode(content: bytes, name: str) -> tuple[Facts, np.ndarray]:
    """Returns the facts of a file's content, and its pixels, uint8 ``[H, W, 3]``. ``name`` is what findings call it.

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
    if image.mode.startswith(DEEP):
        raise UnusableError(Finding("deep", f"{name}: pixels of mode {image.mode}, expected 8 bits per channel"))
    colours = (image if image.mode == "RGB" else image.convert("RGB")).tobytes()
    width, height = image.size
    shown = hashlib.sha256(b"%d %d " % (width, height))
    shown.update(colours)
    kind = SAME.get(str(image.format), str(image.format))
    pixels = np.frombuffer(colours, np.uint8).reshape(height, width, 3)
    return Facts(digest(content), kind, width, height, shown.hexdigest()), pixels


def mislabelled(name: str, facts: Facts) -> list[Finding]:
    """Returns a finding when the ending of a file's name says another format than its content has."""
    suffix = name[name.rfind(".") :]
    if FORMATS.get(suffix.lower()) == facts.format:
        return []
    return [Finding("mislabelled", f"{name}: named {suffix} but holds a {facts.format} image")]


def turned(name: str, content: bytes) -> list[Finding]:
    """Returns a finding when a photo says that it is to be shown turned or mirrored, as phones make them."""
    if EXIF not in content[:4096]:
        return []
    with Image.open(io.BytesIO(content), formats=KNOWN) as image:
        orientation = image.getexif().get(ORIENTATION, UPRIGHT)
    if orientation == UPRIGHT:
        return []
    return [Finding("turned", f"{name}: its EXIF orientation is {orientation}, expected {UPRIGHT} or none")]
