from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as reference
from pydantic import ValidationError
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import RandomErasing

from pipeline.batches.sending import send_together
from pipeline.batches.transforms import (
    MEAN,
    Augmentation,
    AugmentationParams,
    ColourJitter,
    Erasing,
    RandomPatch,
    crop_and_flip,
    jitter,
    normalize,
)
from pipeline.config import parse

NOTHING: dict[str, Any] = {
    "pad": 0,
    "flip": 0.0,
    "jitter": None,
    "single_channel": 0.0,
    "grayscale": 0.0,
    "erasing": None,
    "patch": None,
}
ERASING = Erasing(
    probability=0.5, area=(0.02, 0.33), aspect=(0.3, 3.3), aspect_law="log_uniform", fill=(0, 0, 0), attempts=10
)
PATCH = RandomPatch(probability=0.5, area=(0.01, 0.5), aspect=(0.1, 10.0), attempts=10, flip=0.5)
JITTER = ColourJitter(probability=0.5, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1)
ALL_BUT_PATCH = NOTHING | {"pad": 4, "flip": 0.5, "jitter": JITTER, "single_channel": 0.2, "grayscale": 0.2}
ALL_BUT_PATCH |= {"erasing": ERASING}


def noise(size: int, height: int = 32, width: int = 16) -> Tensor:
    return torch.randint(0, 256, (size, 3, height, width), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def augment(
    images: Tensor, positions: np.ndarray | None = None, *, epoch: int = 0, seed: int = 0, **steps: Any
) -> Tensor:
    positions = np.arange(len(images)) if positions is None else positions
    augmentation = Augmentation(seed=seed, **(NOTHING | steps))
    return augmentation(images, send_together(augmentation.draw(epoch, positions), images.device), torch.float64)


def test_without_steps_an_image_comes_back_as_floats() -> None:
    images = noise(3)
    assert torch.equal(augment(images), images.double())


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1], [2]])
def test_an_image_depends_on_its_position_and_on_no_other_image(order: list[int]) -> None:
    images, positions = noise(4), np.array([5, 6, 7, 1000])
    whole = augment(images, positions, **ALL_BUT_PATCH)
    part = augment(images[order], positions[order], **ALL_BUT_PATCH)
    assert torch.equal(whole[order], part)


def test_epoch_seed_and_position_each_change_the_result() -> None:
    images = noise(16)
    here = augment(images, **ALL_BUT_PATCH)
    assert not torch.equal(here, augment(images, epoch=1, **ALL_BUT_PATCH))
    assert not torch.equal(here, augment(images, seed=1, **ALL_BUT_PATCH))
    assert not torch.equal(here, augment(images, np.arange(16) + 16, **ALL_BUT_PATCH))


def test_switching_a_step_off_leaves_the_draws_of_the_others() -> None:
    images = torch.full((64, 3, 32, 16), 255, dtype=torch.uint8)
    alone = augment(images, erasing=ERASING)
    with_crop = augment(images, pad=4, erasing=ERASING)
    erased = alone != 255
    assert torch.equal(alone[erased], with_crop[erased])


def test_half_of_the_images_are_mirrored_and_the_rest_left_alone() -> None:
    images = noise(4000, 2, 4)
    flipped = augment(images, flip=0.5)
    same = (flipped == images).flatten(1).all(dim=1)
    mirrored = (flipped == images.flip(3)).flatten(1).all(dim=1)
    assert (same | mirrored).all()
    assert 0.47 < mirrored.double().mean() < 0.53


def test_crops_are_all_offsets_of_the_padded_image_equally_often() -> None:
    pad, size = 2, 5000
    images = noise(1, 6, 5).expand(size, -1, -1, -1)
    padded = torch.nn.functional.pad(images[0], (pad,) * 4)
    windows = {
        padded[:, top : top + 6, left : left + 5].double().numpy().tobytes(): (top, left)
        for top in range(2 * pad + 1)
        for left in range(2 * pad + 1)
    }
    counts = dict.fromkeys(windows.values(), 0)
    for image in augment(images, pad=pad):
        counts[windows[image.contiguous().numpy().tobytes()]] += 1
    assert min(counts.values()) > 200 - 6 * 14
    assert max(counts.values()) < 200 + 6 * 14


def test_flipping_follows_cropping() -> None:
    images = noise(1, 4, 4)
    corner = torch.zeros(1, 2)
    assert torch.equal(
        crop_and_flip(images, 1, 1.0, corner, torch.zeros(1, 1)),
        crop_and_flip(images, 1, 0.0, corner, torch.zeros(1, 1)).flip(3),
    )


def box_of(mask: Tensor) -> tuple[int, int]:
    """The height and width of the one box that a mask ``[H, W]`` is true in."""
    ys, xs = torch.nonzero(mask, as_tuple=True)
    height, width = int(ys.max() - ys.min()) + 1, int(xs.max() - xs.min()) + 1
    assert int(mask.sum()) == height * width
    return height, width


def test_half_of_the_images_lose_a_box_drawn_as_torchvision_draws_it() -> None:
    images = torch.zeros(3000, 3, 64, 32, dtype=torch.uint8)
    erased = augment(images, erasing=ERASING)
    changed = erased[:, 0] != 0
    hit = changed.flatten(1).any(dim=1)
    assert 0.47 < hit.double().mean() < 0.53
    assert torch.equal(erased[hit].amax(dim=(2, 3)), torch.tensor(MEAN, dtype=torch.float64).expand(hit.sum(), 3))
    ours = np.array([box_of(mask) for mask in changed[hit]])
    torch.manual_seed(0)
    draws = [RandomErasing.get_params(images[0], (0.02, 0.33), (0.3, 3.3), [0.0]) for _ in range(3000)]
    theirs = np.array([draw[2:4] for draw in draws])
    for measure in (np.prod, np.divide.reduce):
        assert ks_2samp(measure(ours, axis=1), measure(theirs, axis=1)).pvalue > 1e-3


def test_an_erased_box_is_nought_after_normalising() -> None:
    erased = augment(noise(200), erasing=ERASING)
    mean = torch.tensor(MEAN, dtype=torch.float64).view(3, 1, 1)
    assert (normalize(erased, torch.float64)[erased == mean] == 0).all()
    assert (erased == mean).any()


def test_patches_are_boxes_of_other_images_as_they_were_before() -> None:
    size, height, width = 400, 64, 32
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None, :]
    images = torch.stack(
        [
            torch.stack([torch.full((height, width), i % 200), rows + 0 * columns, columns + 0 * rows])
            for i in range(200)
        ]
    ).to(torch.uint8)
    hits = mirrors = 0
    areas, donors = [], []
    for start in range(0, size, 200):
        patched = augment(images, np.arange(200) + start, patch=PATCH).long()
        for index, image in enumerate(patched):
            inside = image[0] != index
            if not inside.any():
                assert torch.equal(image, images[index].long())
                continue
            box_height, box_width = box_of(inside)
            donor, ys, xs = (image[channel][inside].view(box_height, box_width) for channel in range(3))
            assert (donor == donor[0, 0]).all()
            assert (ys.diff(dim=0) == 1).all()
            step = xs.diff(dim=1)
            assert box_width == 1 or (step == step[0, 0]).all()
            hits += 1
            mirrors += int(box_width > 1 and step[0, 0] == -1)
            areas.append(box_height * box_width / (height * width))
            donors.append((int(donor[0, 0]) - index) % 200)
    assert 0.42 < hits / size < 0.58
    assert 0.35 < mirrors / hits < 0.62
    assert min(areas) < 0.05
    assert 0.40 < max(areas) < 0.52
    assert 0 not in donors
    assert len(set(donors)) > 100


def test_a_group_of_one_image_gets_no_patch() -> None:
    always = RandomPatch(probability=1.0, area=(0.2, 0.5), aspect=(0.5, 2.0), attempts=10, flip=0.0)
    assert torch.equal(augment(noise(1), patch=always), noise(1).double())


@pytest.mark.parametrize("part", ["brightness", "contrast", "saturation", "hue"])
@pytest.mark.parametrize("draw", [0.0, 0.3, 0.9])
def test_each_jitter_equals_torchvisions(part: str, draw: float) -> None:
    strengths = dict.fromkeys(["brightness", "contrast", "saturation", "hue"], 0.0) | {part: 0.4}
    images = noise(5)
    draws = torch.full((5, 5), draw, dtype=torch.float64)
    draws[:, 0] = 0
    ours = jitter(images.double(), ColourJitter(probability=1.0, **strengths), draws)
    change = 0.4 * (2 * draw - 1)
    adjust = getattr(reference, f"adjust_{part}")
    theirs = adjust(images.double() / 255, change if part == "hue" else 1 + change) * 255
    # torchvision's grey weights have four digits, ours are Pillow's three.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.06)


def test_gray_images_have_three_equal_channels() -> None:
    images = noise(500, 4, 4)
    gray = augment(images, grayscale=0.3)
    equal = (gray == gray[:, :1]).flatten(1).all(dim=1)
    assert 0.23 < equal.double().mean() < 0.37
    assert torch.equal(gray[~equal], images[~equal].double())


def test_each_colour_stands_for_all_three_as_often_and_infrared_images_stay() -> None:
    images = noise(900, 4, 4)
    found = augment(images, single_channel=0.5)
    counts = [(found == images[:, [colour]].double()).flatten(1).all(dim=1).sum() for colour in range(3)]
    assert all(110 < count < 190 for count in counts)
    others = (found != found[:, :1]).flatten(1).any(dim=1)
    assert torch.equal(found[others], images[others].double())
    infrared = images[:, :1].expand(-1, 3, -1, -1)
    assert torch.equal(augment(infrared, single_channel=1.0), infrared.double())


def test_normalising_is_imagenets() -> None:
    images = noise(2)
    theirs = reference.normalize(images.double() / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(normalize(images, torch.float64), theirs)
    assert normalize(images, torch.float32).dtype == torch.float32


def test_the_parameters_of_a_run_are_the_keywords_of_the_augmentation() -> None:
    block = {
        "pad": 4,
        "flip": 0.5,
        "jitter": None,
        "single_channel": 0,
        "grayscale": 0,
        "erasing": {
            "probability": 0.5,
            "area": [0.02, 0.33],
            "aspect": [0.3, 3.3],
            "aspect_law": "log_uniform",
            "fill": [0, 0, 0],
            "attempts": 10,
        },
        "patch": {"probability": 0.5, "area": [0.01, 0.5], "aspect": [0.1, 10], "attempts": 10, "flip": 0.5},
    }
    augmentation = Augmentation(seed=0, **dict(parse(AugmentationParams, block, "augmentation")))
    assert augmentation.erasing == ERASING
    assert augmentation.patch == PATCH


def test_a_probability_above_one_is_an_error() -> None:
    with pytest.raises(ValidationError, match="probability"):
        Erasing(
            probability=1.5, area=(0.02, 0.33), aspect=(0.3, 3.3), aspect_law="log_uniform", fill=(0, 0, 0), attempts=10
        )
