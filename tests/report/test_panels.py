import base64
import xml.dom.minidom

import numpy as np
import pytest
from PIL import Image

from pipeline.report import panels, pictures
from pipeline.tables.figures import looks

LOOK = looks(["mdpr", "baseline"])


def content(uri, kind):
    head, _, body = uri.partition(",")
    assert head == f"data:{kind};base64"
    return base64.b64decode(body)


def drawn():
    curve = ([1, 2, 3], [0.9, 0.5, 0.2])
    yield panels.curves({"mdpr": curve, "baseline": curve}, LOOK, x="epoch", y="loss")
    yield panels.swatch(LOOK["mdpr"])
    yield panels.histogram(np.linspace(0, 2, 5), np.full(4, 0.25), np.full(4, 0.25), highest=0.3)
    points, groups = np.random.default_rng(0).normal(size=(9, 2)), np.repeat([-1, 0, 1], 3)
    yield panels.scatter(points, groups, np.arange(9) % 2 == 0)


def test_panels_are_whole_the_same_again_and_ask_for_nothing():
    for first, again in zip(drawn(), drawn(), strict=True):
        assert first == again
        tree = xml.dom.minidom.parseString(content(first, "image/svg+xml"))
        links = [node.getAttribute("xlink:href") for node in tree.getElementsByTagName("*")]
        assert all(link.startswith("#") for link in links if link)


def test_losses_below_zero_are_seen():
    curve = ([1, 2], [1.0, -2.0])
    assert panels.curves({"mdpr": curve}, LOOK, x="epoch", y="") != panels.curves(
        {"mdpr": ([1, 2], [1.0, 0.0])}, LOOK, x="epoch", y=""
    )


@pytest.mark.parametrize(("size", "expected"), [((64, 32), (64, 32)), ((256, 128), (128, 64)), ((100, 200), (32, 64))])
def test_large_images_are_made_small_and_small_ones_left_alone(size, expected):
    import io

    image = np.full((*size, 3), 77, dtype=np.uint8)
    found = Image.open(io.BytesIO(content(pictures.photo(image), "image/jpeg")))
    assert (found.height, found.width) == expected
    assert abs(np.asarray(found).mean() - 77) < 2
