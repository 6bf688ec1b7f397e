import io

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.validation.inspection import UnusableError, decode, digest, mislabelled, turned

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 16, 3), dtype=np.uint8)


def stored(image: Image.Image, kind: str, **how: object) -> bytes:
    target = io.BytesIO()
    image.save(target, format=kind, **how)
    return target.getvalue()


def finding(content: bytes) -> tuple[str, str]:
    with pytest.raises(UnusableError) as error:
        decode(content, "a.jpg")
    assert str(error.value) == error.value.finding.text
    return error.value.finding.rule, error.value.finding.text


@pytest.mark.parametrize("kind", ["PNG", "BMP", "JPEG"])
def test_a_good_image_gives_its_size_its_digest_and_its_pixels(kind: str) -> None:
    content = stored(Image.fromarray(PIXELS), kind)
    facts, pixels = decode(content, "a")
    assert (facts.format, facts.width, facts.height, facts.sha256) == (kind, 16, 32, digest(content))
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))
    assert (pixels.shape, pixels.dtype) == ((32, 16, 3), np.uint8)


def test_what_shows_the_same_has_the_same_pixels_however_it_is_stored() -> None:
    image = Image.fromarray(PIXELS)
    png, bmp = (decode(stored(image, kind), "a")[0] for kind in ("PNG", "BMP"))
    assert png.sha256 != bmp.sha256
    assert png.pixels == bmp.pixels
    gray = decode(stored(image.convert("L"), "PNG"), "a")[0]
    assert gray.pixels == decode(stored(image.convert("L").convert("RGB"), "BMP"), "a")[0].pixels
    assert gray.pixels != png.pixels


def test_size_belongs_to_what_is_shown() -> None:
    black = [decode(stored(Image.new("RGB", size), "PNG"), "a")[0].pixels for size in ((16, 32), (32, 16))]
    assert black[0] != black[1]


def test_an_empty_file_is_said_to_be_empty() -> None:
    assert finding(b"") == ("empty", "a.jpg: an empty file")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "JPEG"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_image_is_unreadable(kind: str, share: float) -> None:
    content = stored(Image.fromarray(PIXELS), kind)
    rule, text = finding(content[: int(len(content) * share)])
    assert rule == "unreadable"
    assert text.startswith("a.jpg: not a readable image, truncated or damaged (")


@pytest.mark.parametrize("content", [b"<html>404</html>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xff\xd8\xff", b"\0" * 4096])
def test_what_is_no_image_is_unreadable_and_nothing_is_run_for_it(content: bytes) -> None:
    rule, text = finding(content)
    assert (rule, " at 0x" in text) == ("unreadable", False), "the same file gives the same text"


def test_more_than_eight_bits_are_not_cut_off_in_silence() -> None:
    deep = Image.fromarray(np.arange(512, dtype=np.uint16).reshape(32, 16) * 100)
    assert finding(stored(deep, "PNG")) == ("deep", "a.jpg: pixels of mode I;16, expected 8 bits per channel")


@pytest.mark.parametrize(
    ("kind", "name", "is_right"),
    [
        ("JPEG", "a/b.jpg", True),
        ("JPEG", "a/b.c.JPEG", True),
        ("MPO", "a/b.jpg", True),
        ("PNG", "a/b.jpg", False),
        ("GIF", "a/b.png", False),
        ("WEBP", "a/b.bmp", False),
    ],
)
def test_a_name_is_held_against_the_content(kind: str, name: str, is_right: bool) -> None:
    facts, _ = decode(stored(Image.fromarray(PIXELS), kind), name)
    expected = [] if is_right else [f"{name}: named {name[-4:]} but holds a {kind} image"]
    assert [one.text for one in mislabelled(name, facts)] == expected


@pytest.mark.parametrize(("orientation", "is_right"), [(None, True), (1, True), (3, False), (6, False)])
def test_a_photo_that_lies_on_its_side_is_named_and_its_pixels_stay_as_they_lie(
    orientation: int | None, is_right: bool
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    if orientation:
        exif[0x0112] = orientation
    content = stored(Image.fromarray(PIXELS), "JPEG", exif=exif)
    expected = [] if is_right else [f"a.jpg: its EXIF orientation is {orientation}, expected 1 or none"]
    assert [one.text for one in turned("a.jpg", content)] == expected
    assert decode(content, "a.jpg")[0].pixels == decode(stored(Image.fromarray(PIXELS), "JPEG"), "a.jpg")[0].pixels
