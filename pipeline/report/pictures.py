"""Images and figures as data URIs, so that a page needs no other file."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

LARGEST = (128, 64)  # height and width of an image on the page, in its own pixels
QUALITY = 88


def photo(image: np.ndarray) -> str:
    """Returns an image, uint8 ``[H, W, 3]``, as a JPEG, made smaller where it is larger than ``LARGEST``."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    scale = min(1.0, LARGEST[0] / picture.height, LARGEST[1] / picture.width)
    if scale < 1:
        picture = picture.resize(
            (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS
        )
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY, optimize=True)
    return data_uri(stream.getvalue(), "image/jpeg")


def data_uri(content: bytes, kind: str) -> str:
    """Returns ``content`` of the MIME type ``kind`` as an address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
