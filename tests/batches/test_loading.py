import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.batches.loading import Loader, joined, prefetched
from pipeline.batches.samplers import identity_batches
from pipeline.batches.transforms import Augmentation, ColourJitter, Erasing, RandomPatch, normalize

LABELS = np.repeat(np.arange(8), 5)
CAMERAS = np.arange(40) % 6 + 1
IS_INFRARED = CAMERAS % 3 == 0
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 32, 16, 3), dtype=np.uint8)


def loader(patch: bool, dtype: torch.dtype = torch.float64) -> Loader:
    augmentation = Augmentation(
        seed=1,
        pad=4,
        flip=0.5,
        jitter=ColourJitter(probability=0.5, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1),
        single_channel=0.1,
        grayscale=0.1,
        erasing=Erasing(
            probability=0.5, area=(0.02, 0.33), aspect=(0.3, 3.3), aspect_law="log_uniform", fill=(0, 0, 0), attempts=10
        ),
        patch=RandomPatch(probability=0.5, area=(0.01, 0.5), aspect=(0.1, 10.0), attempts=10, flip=0.5)
        if patch
        else None,
    )
    return Loader(IMAGES, CAMERAS, IS_INFRARED, augmentation, torch.device("cpu"), dtype)


def steps() -> list[np.ndarray]:
    return list(identity_batches(LABELS, groups=2, identities=4, images=2, seed=0, epoch=0))


def test_a_global_batch_in_one_piece_equals_the_same_batch_in_groups() -> None:
    for step, rows in enumerate(steps()):
        positions = step * rows.size + np.arange(rows.size).reshape(rows.shape)
        whole = loader(patch=False).load(rows.flatten(), LABELS, epoch=3, positions=positions.flatten())
        groups = [
            loader(patch=False).load(rows[group], LABELS, epoch=3, positions=positions[group]) for group in (1, 0)
        ]
        assert torch.equal(whole.images, torch.cat([groups[1].images, groups[0].images]))


def test_with_random_patch_equal_groups_load_equally_in_any_order() -> None:
    rows = steps()[0]
    positions = np.arange(rows.size).reshape(rows.shape)
    shared = loader(patch=True)
    forth = [shared.load(rows[group], LABELS, epoch=3, positions=positions[group]).images for group in (0, 1)]
    back = [
        loader(patch=True).load(rows[group], LABELS, epoch=3, positions=positions[group]).images for group in (1, 0)
    ]
    assert torch.equal(forth[0], back[1])
    assert torch.equal(forth[1], back[0])


def test_a_batch_says_of_every_image_what_it_is() -> None:
    rows = np.array([39, 0, 2])
    batch = loader(patch=True, dtype=torch.float32).load(rows, LABELS, epoch=0, positions=np.arange(3))
    assert batch.images.shape == (3, 3, 32, 16)
    assert batch.images.dtype == torch.float32
    assert batch.labels.tolist() == LABELS[rows].tolist()
    assert batch.is_infrared.tolist() == IS_INFRARED[rows].tolist()
    assert batch.rows.tolist() == rows.tolist()
    assert batch.num_infrared == IS_INFRARED[rows].sum() == 1
    assert joined([batch, batch]).num_infrared == 2
    assert joined([batch, replace(batch, num_infrared=None)]).num_infrared is None


def test_plain_images_are_the_stores_normalised() -> None:
    rows = np.array([5, 2])
    expected = normalize(torch.from_numpy(IMAGES[rows]).permute(0, 3, 1, 2), torch.float64)
    assert torch.equal(loader(patch=True).plain(rows), expected)


def test_loading_leaves_the_store_untouched() -> None:
    before = IMAGES.copy()
    loader(patch=True).load(np.arange(40), LABELS, epoch=0, positions=np.arange(40))
    np.testing.assert_array_equal(IMAGES, before)


def test_prefetching_keeps_every_item_in_order() -> None:
    assert list(prefetched(range(50))) == list(range(50))
    assert list(prefetched([])) == []


def test_prefetching_works_ahead_by_its_depth_and_no_further() -> None:
    made: list[int] = []
    third = threading.Event()

    def items() -> Iterator[int]:
        for item in range(10):
            made.append(item)
            if item == 2:
                third.set()
            yield item

    ahead = prefetched(items(), depth=2)
    assert next(ahead) == 0
    assert third.wait(5)
    ahead.close()
    assert made == [0, 1, 2]


def test_prefetching_raises_the_iterables_error_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise RuntimeError("no third item")

    ahead = prefetched(items())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(RuntimeError, match="no third item"):
        next(ahead)


def test_prefetching_leaves_no_thread_behind_when_the_consumer_stops() -> None:
    ahead = prefetched(iter(range(10**9)))
    assert next(ahead) == 0
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]
