"""How fast training batches are loaded, beside the usual loader of the field: ``python benchmarks/input.py``.

The usual loader opens a JPEG, decodes, resizes, flips, pads, crops, converts, normalises and erases it, one image after
the other, by torchvision; ours takes packed images to the same batches. Both are end to end, in one thread, and take
turns; rates are images per second of that core's own time. Input wait is the share of a training step's time in which
the loop waits for its batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from speed_comparison import table
from speed_comparison.images import pack, photograph
from speed_comparison.table import Row
from torch import Tensor
from torchvision import transforms

from pipeline.backbones.resnet import ResNet
from pipeline.batches.boxes import Erasing
from pipeline.batches.loading import Batch, Loader, prefetched
from pipeline.batches.transforms import Augmentation
from pipeline.methods.baseline.network import BaselineNetwork

FILES, ROWS, BATCH = 192, 4096, 64
PAD, MEAN, STD = 10, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CPU = torch.device("cpu")


class Sides:
    """The same pictures as files and packed, at one size."""

    def __init__(self, folder: Path, height: int, width: int) -> None:
        self.size = (height, width)
        self.files = photograph(folder, FILES)
        self.images = pack(self.files, folder / "images.npy", rows=ROWS, height=height, width=width)
        self.labels = np.arange(ROWS) % 16
        self.loader = Loader(self.images, self.labels, self.labels < 0, _augmentation(), CPU, torch.float32)
        self.usual = transforms.Compose(
            [
                transforms.Resize(self.size, interpolation=transforms.InterpolationMode.BICUBIC),
                transforms.RandomHorizontalFlip(),
                transforms.Pad(PAD),
                transforms.RandomCrop(self.size),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
                transforms.RandomErasing(0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3)),
            ]
        )

    def ours(self, rows: np.ndarray) -> Batch:
        """Returns a batch as training loads it."""
        return self.loader.load(rows, self.labels, epoch=0, positions=rows)

    def theirs(self, rows: np.ndarray) -> Batch:
        """Returns a batch as the usual loader makes it."""
        images = torch.stack([self.usual(_open(self.files[row % FILES])) for row in rows])
        labels = torch.from_numpy(self.labels[rows])
        return Batch(images, labels, labels < 0, torch.from_numpy(rows))


def _augmentation() -> Augmentation:
    erasing = Erasing(
        probability=0.5, area=(0.02, 0.33), aspect=(0.3, 3.3), aspect_law="log_uniform", fill=(0, 0, 0), attempts=10
    )
    plain: dict[str, Any] = {"jitter": None, "single_channel": 0.0, "grayscale": 0.0, "patch": None}
    return Augmentation(seed=1, pad=PAD, flip=0.5, erasing=erasing, **plain)


def _open(file: Path) -> Image.Image:
    with Image.open(file) as image:
        return image.convert("RGB")


def rates(height: int, width: int, least: float) -> list[Row]:
    """Returns the row of loading at one size."""
    rng = np.random.default_rng(1)
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        sides = Sides(Path(folder), height, width)
        seconds = table.interleaved(
            {
                "ours": lambda: sides.ours(rng.integers(ROWS, size=BATCH)),
                "theirs": lambda: sides.theirs(rng.integers(ROWS, size=BATCH)),
            },
            repeats=15,
            clock=time.thread_time,
        )
    rate = {side: BATCH / taken for side, taken in seconds.items()}
    work = f"batches of {BATCH} at {height}x{width}, one core"
    return [table.at_least(work, "images/s", rate["ours"], rate["theirs"], least)]


def waits(_: object = None) -> list[Row]:
    """Returns the rows of input wait: a small network's step on this CPU, and what needs a GPU."""
    with TemporaryDirectory() as folder:
        sides = Sides(Path(folder), 256, 128)
        shares = {name: wait_share(getattr(sides, name)) for name in ("ours", "theirs")}
    work = "input wait, ResNet-18 of half width, 16 images at 256x128, CPU"
    target = "input wait, ResNet-50, 64 images at 256x128, GPU"
    return [
        table.within(work, "% of the step", 100 * shares["ours"], 100 * shares["theirs"], 3),
        table.unmeasured(target, "% of the step", "<= 3", "a GPU"),
    ]


def wait_share(load: Callable[[np.ndarray], Batch], steps: int = 12) -> float:
    """Returns which share of the steps' time goes by in waiting for the batches that ``prefetched`` makes meanwhile."""
    rng = np.random.default_rng(1)
    torch.manual_seed(0)
    backbone = ResNet(depth=18, width=0.5, ibn=False, last_stride=1, stem_pool="padded")
    network = BaselineNetwork(backbone=backbone, pooling="gem", num_classes=16)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def batches() -> Iterator[Batch]:
        for _ in range(steps):
            yield load(rng.integers(ROWS, size=16))

    waited, begun, ready = 0.0, time.perf_counter(), time.perf_counter()
    for index, batch in enumerate(prefetched(batches())):
        if index == 2:  # what is prefetched at first has no step to hide behind
            waited, begun = 0.0, ready
        waited += time.perf_counter() - ready
        _step(network, optimizer, batch.images, batch.labels)
        ready = time.perf_counter()
    return waited / (ready - begun)


def _step(network: BaselineNetwork, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(images).logits, labels).backward()
    optimizer.step()


if __name__ == "__main__":
    table.main(
        __doc__,
        {
            "256x128": lambda given: rates(256, 128, least=10),
            "64x32": lambda given: rates(64, 32, least=2),
            "wait": waits,
        },
    )
