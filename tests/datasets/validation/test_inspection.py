import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.datasets.validation.inspection import (
    UnusableError,
    decode,
    digest,
    mislabelled,
    orientation,
    paged,
    turned,
)

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


@pytest.mark.parametrize("kind", ["PNG", "BMP", "JPEG", "WEBP", "TIFF"])
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
    assert finding(stored(deep, "PNG")) == ("deep", "a.jpg: 16 bits per channel, expected 8 bits per channel")
    numbers = Image.fromarray(np.zeros((32, 16), np.float32))
    assert finding(stored(numbers, "TIFF")) == ("deep", "a.jpg: 32 bits per channel, expected 8 bits per channel")


def deep_colours(kind: str) -> bytes:
    """Returns an image of 16 bits in each of three channels, which Pillow can read and not write."""
    colours = np.random.default_rng(0).integers(0, 65536, (32, 16, 3))
    if kind == "PNG":
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colours)
        parts = (
            (b"IHDR", struct.pack(">IIBBBBB", 16, 32, 16, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )
        chunks = (struct.pack(">I", len(part)) + name + part for name, part in parts)
        sums = (struct.pack(">I", zlib.crc32(name + part)) for name, part in parts)
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk + crc for chunk, crc in zip(chunks, sums, strict=True))
    pixels = colours.astype("<u2").tobytes()
    tags = {256: 16, 257: 32, 258: 122, 259: 1, 262: 2, 273: 128, 277: 3, 278: 32, 279: len(pixels)}
    entries = (struct.pack("<HHII", tag, 4 if tag == 279 else 3, 3 if tag == 258 else 1, tags[tag]) for tag in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(entries) + struct.pack("<I", 0)
    return head + struct.pack("<HHH", 16, 16, 16) + pixels


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_colours_of_more_than_eight_bits_are_not_cut_off_in_silence(kind: str) -> None:
    content = deep_colours(kind)
    assert Image.open(io.BytesIO(content)).mode == "RGB", "that is why the mode alone does not tell"
    assert finding(content) == ("deep", "a.jpg: 16 bits per channel, expected 8 bits per channel")


@pytest.mark.parametrize(
    ("kind", "name", "is_right"),
    [
        ("JPEG", "a/b.jpg", True),
        ("JPEG", "a/b.c.JPEG", True),
        ("MPO", "a/b.jpg", True),
        ("PNG", "a/b.jpg", False),
        ("WEBP", "a/b.webp", True),
        ("TIFF", "a/b.TIF", True),
        ("JPEG", "a/b.png", False),
        ("GIF", "a/b.png", False),
        ("WEBP", "a/b.bmp", False),
    ],
)
def test_a_name_is_held_against_the_content(kind: str, name: str, is_right: bool) -> None:
    facts, _ = decode(stored(Image.fromarray(PIXELS), kind), name)
    expected = [] if is_right else [f"{name}: named {name[-4:]} but holds a {kind} image"]
    assert [one.text for one in mislabelled(name, facts)] == expected


def photo(kind: str, turn: int | None) -> bytes:
    """Returns a photo that says how it is to be shown, if ``turn`` is a number."""
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    if turn:
        exif[0x0112] = turn
    how = {"lossless": True} if kind == "WEBP" else {}
    return stored(Image.fromarray(PIXELS), kind, exif=exif, **how)


@pytest.mark.parametrize(("turn", "is_right"), [(None, True), (1, True), (3, False), (6, False), (9, True)])
def test_a_photo_that_lies_on_its_side_is_named_and_its_pixels_stay_as_they_lie(
    turn: int | None, is_right: bool
) -> None:
    content = photo("JPEG", turn)
    expected = [] if is_right else [("turned", f"a.jpg: its EXIF orientation is {turn}")]
    assert [(one.rule, one.text) for one in turned("a.jpg", content, is_upright=False)] == expected
    assert decode(content, "a.jpg")[0].pixels == decode(stored(Image.fromarray(PIXELS), "JPEG"), "a.jpg")[0].pixels


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_photo_is_turned_upright_as_pillow_does_it(kind: str, turn: int) -> None:
    content = photo(kind, turn)
    assert orientation(content) == turn
    facts, pixels = decode(content, "a", orientation(content))
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(pixels, expected)
    assert (facts.height, facts.width) == expected.shape[:2]
    assert (facts.sha256 == digest(content)) == (turn == 1), "other pixels are not taken for the same image"
    assert [one.rule for one in turned("a", content, is_upright=True)] == ["upright"] * (turn != 1)


def test_a_tiff_is_turned_once() -> None:
    content = photo("TIFF", 6)
    assert decode(content, "a", orientation(content))[1].shape == (16, 32, 3)


def test_a_damaged_description_turns_nothing() -> None:
    content = photo("PNG", 6).replace(b"eXIf", b"eXIf" * 3)
    assert orientation(content[:80]) == 1


def test_of_several_pictures_in_a_file_the_first_is_taken_with_a_word() -> None:
    first, second = Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1].copy())
    content = stored(first, "TIFF", save_all=True, append_images=[second])
    facts, pixels = decode(content, "a.tif")
    np.testing.assert_array_equal(pixels, PIXELS)
    assert [one.text for one in paged("a.tif", content, facts)] == ["a.tif: 2 pictures in one file"]
    content = stored(first, "TIFF")
    assert paged("a.tif", content, decode(content, "a.tif")[0]) == []
