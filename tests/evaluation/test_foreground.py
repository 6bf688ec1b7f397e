"""How well shares of pixels cover true masks."""

import numpy as np
import pytest

from pipeline.evaluation.foreground import measure_overlap

MASKS = np.array([[255, 255, 0, 0], [255, 0, 0, 0], [0, 0, 0, 0]], np.uint8)


def test_the_overlap_is_a_mean_over_the_images_that_have_a_person():
    shares = np.array([[0.9, 0.4, 0.6, 0.1], [0.9, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    found = measure_overlap(shares, MASKS)
    assert found["iou"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["iou_of_everything"] == pytest.approx((1 / 2 + 1 / 4) / 2)


def test_calling_everything_the_person_has_the_overlap_of_everything():
    found = measure_overlap(np.ones(MASKS.shape), MASKS)
    assert found["iou"] == found["iou_of_everything"]


def test_nothing_is_measured_where_nobody_is():
    assert measure_overlap(np.ones((1, 4)), np.zeros((1, 4), np.uint8)) == {}
