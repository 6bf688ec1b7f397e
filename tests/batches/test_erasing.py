"""Boxes that random erasing and random patch draw, beside those of the authors' code (``tests/golden/erasing.npz``)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import config, experiments
from pipeline.batches.boxes import drawn_patches, erased_boxes
from pipeline.batches.counter_rng import uniform
from pipeline.batches.transforms import STD, AugmentationParams, erased_colour

ROOT = Path(__file__).parents[2]
RECIPES = {
    "cluster_contrast": "cluster_contrast_paper",
    "student": "student_paper",
    "agw_strong": "agw_strong_paper",
    "fastreid": "mdpr_paper",
}
BOXES = 4000


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(ROOT / "tests/golden/erasing.npz"))


def augmentation(recipe):
    block = experiments.resolve_recipe(config.load(ROOT / "params.yaml"), recipe)["augmentation"]
    return config.parse(AugmentationParams, block, recipe)


def draws(count):
    return torch.from_numpy(uniform(5, "boxes", 0, np.arange(2 * BOXES), count))


def measures(boxes, height, width):
    """Returns the boxes' shares of the image, their height / width and where they begin, each ``[used]``."""
    tall, wide = boxes.height[boxes.used].numpy(), boxes.width[boxes.used].numpy()
    top, left = boxes.top[boxes.used].numpy() / height, boxes.left[boxes.used].numpy() / width
    return {"area": tall * wide / (height * width), "aspect": tall / wide, "top": top, "left": left}


def check_distribution(values, quantiles, shares):
    """Ensures that as many values lie below each of the authors' quantiles as should, within 4.5 standard errors."""
    below = (values[:, None] < quantiles).mean(axis=0)
    up_to = (values[:, None] <= quantiles).mean(axis=0)  # sizes are whole pixels: a quantile is a step
    slack = 4.5 * np.sqrt(shares * (1 - shares) / len(values))
    assert (below - slack <= shares).all()
    assert (shares <= up_to + slack).all()


def check_boxes(boxes, key, golden):
    for measure, values in measures(boxes, *golden[f"{key}_image"].tolist()).items():
        check_distribution(values, golden[f"{key}_{measure}"], golden["quantiles"])


@pytest.mark.parametrize("name", RECIPES)
def test_a_paper_erases_the_boxes_that_its_authors_erase(name, golden):
    key = "cluster_contrast" if name == "student" else name
    erasing = augmentation(RECIPES[name]).erasing
    height, width = golden[f"{key}_image"].tolist()
    boxes = erased_boxes(erasing, draws(erasing.draws), height, width)
    assert abs(boxes.used.double().mean() - golden[f"{key}_probability"]) < 0.03
    check_boxes(boxes, key, golden)
    means = [255 * share for share in (0.485, 0.456, 0.406)]
    seen = [(colour - mean) / std for colour, mean, std in zip(erased_colour(erasing), means, STD, strict=True)]
    np.testing.assert_allclose(seen, golden[f"{key}_fill"], atol=1e-6)


@pytest.mark.parametrize("change", [{"aspect_law": "log_uniform"}, {"area": (0.02, 0.33)}, {"aspect": (0.3, 2.9)}])
def test_boxes_by_another_law_are_told_from_the_authors(change, golden):
    erasing = augmentation("cluster_contrast_paper").erasing.model_copy(update=change)
    boxes = erased_boxes(erasing, draws(erasing.draws), 256, 128)
    with pytest.raises(AssertionError):
        check_boxes(boxes, "cluster_contrast", golden)


def test_mdpr_pastes_patches_of_the_authors_sizes(golden):
    patch = augmentation("mdpr_paper").patch
    height, width = golden["patch_image"].tolist()
    boxes = drawn_patches(patch, draws(patch.draws), height, width).boxes
    found = measures(boxes, height, width)
    for measure in ("area", "aspect"):
        check_distribution(found[measure], golden[f"patch_{measure}"], golden["quantiles"])


def test_more_attempts_leave_fewer_images_whole():
    erasing = augmentation("cluster_contrast_paper").erasing.model_copy(update={"probability": 1.0, "area": (0.2, 0.9)})
    one, all_of_them = (
        erased_boxes(few, draws(few.draws), 128, 128).used.double().mean()
        for few in (erasing.model_copy(update={"attempts": 1}), erasing)
    )
    assert one < 0.9
    assert all_of_them == 1
