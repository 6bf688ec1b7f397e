from dataclasses import replace
from math import pi

import numpy as np
import pytest

from pipeline.synthetic_people.draws import Draws
from pipeline.synthetic_people.figure import draw
from pipeline.synthetic_people.pose import Pose, View
from pipeline.synthetic_people.shapes import Light
from pipeline.synthetic_people.traits import Bag, draw_traits

PERSON = draw_traits(Draws(3))
RED = (0.9, 0.1, 0.1, 0.5)


def picture(traits, heading, *, phase=0.8, foot=(64.0, 240.0)):
    layer = np.zeros((5, 256, 128), np.float32)
    view = View(foot, 220.0, heading, 0.2)
    draw(layer, traits, Pose(heading, phase, 0.35, 0.3, 0.0), view, Light(0.3, 0.5, 0.8, 0.6), 7)
    return layer


def red_pixels(layer):
    return int(((layer[0] > 2.5 * layer[1]) & (layer[0] > 2.5 * layer[2]) & (layer[4] > 0.9)).sum())


def carrying(kind, side=1):
    plain = replace(PERSON.upper, kind="tee", pattern="plain", colour=(0.3, 0.3, 0.3, 0.5))
    lower = replace(PERSON.lower, kind="trousers", colour=(0.3, 0.3, 0.35, 0.5), length=1.9)
    dull = (0.3, 0.3, 0.3, 0.5)
    return replace(
        PERSON, upper=plain, lower=lower, shoes=dull, hat=dull, hair=dull, skin=dull, bag=Bag(kind, RED, side)
    )


def test_a_backpack_is_whole_from_behind_and_straps_from_the_front():
    behind, front = red_pixels(picture(carrying("backpack"), pi)), red_pixels(picture(carrying("backpack"), 0.0))
    assert behind > 2.5 * front > 0


def test_a_bag_at_the_left_hip_shows_from_the_left_and_hides_from_the_right():
    from_left, from_right = (red_pixels(picture(carrying("tote"), heading)) for heading in (-pi / 2, pi / 2))
    assert from_left > 3 * from_right


@pytest.mark.parametrize("heading", [0.0, 1.0, 2.0, 3.1, -1.5])
@pytest.mark.parametrize("phase", [0.0, 2.0, 4.0])
def test_feet_are_on_the_ground_and_the_head_one_height_above(heading, phase):
    rows = np.flatnonzero(picture(PERSON, heading, phase=phase)[4].max(1) > 0.5)
    assert 240 - 6 < rows[-1] < 240 + 16
    assert 240 - 220 * 1.08 < rows[0] < 240 - 220 * 0.88


def test_edges_are_soft_and_nothing_outside_the_figure_is_touched():
    layer = picture(PERSON, 0.4)
    assert ((layer[4] > 0.05) & (layer[4] < 0.95)).sum() > 100
    assert (layer[:4, layer[4] == 0] == 0).all()
    assert layer.min() >= 0
    assert layer[4].max() <= 1 + 1e-6


@pytest.mark.parametrize("foot", [(-40.0, 240.0), (64.0, -300.0), (400.0, 900.0), (64.0, 420.0)])
def test_a_figure_may_lie_outside_the_picture(foot):
    assert np.isfinite(picture(PERSON, 0.4, foot=foot)).all()


def test_everything_is_drawn_in_single_precision():
    assert picture(PERSON, 0.4).dtype == np.float32
