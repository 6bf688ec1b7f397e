"""A small method, store and trainer for tests of the loop: images are noise, networks tiny."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.batches.loading import Loader
from pipeline.batches.samplers import identity_batches
from pipeline.batches.transforms import Augmentation, Erasing, RandomPatch
from pipeline.layers.embedder import Embedder
from pipeline.training.loop import CosineDecay, Trainer, TrainingParams
from pipeline.training.method import Method, StepOutput
from pipeline.training.optimizers import AdamParams, SGDParams
from pipeline.training.workers import Workers

CPU = torch.device("cpu")
ADAM = AdamParams(kind="adam")
IS_INFRARED = np.arange(48) % 2 == 1


class Toy(Method):
    """A convolution, BatchNorm and a classifier, with a memory of class means as state without gradient."""

    supervision = "supervised"

    def __init__(self, *, num_classes: int, groups: int, seed: int) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Dropout(0.1), nn.Linear(32, num_classes),
        )  # fmt: skip
        self.register_buffer("memory", torch.zeros(num_classes, num_classes))
        self.groups, self.seed = groups, seed

    def batches(self, labels, epoch):
        return identity_batches(labels, groups=self.groups, identities=2, images=2, seed=self.seed, epoch=epoch)

    def run_network(self, batch):
        return self.network(batch.images)

    def find_loss(self, logits, batch):
        loss = F.cross_entropy(logits, batch.labels)
        pull = F.mse_loss(logits, self.memory[batch.labels])
        return StepOutput(
            loss + 0.1 * pull, {"identity": loss.detach(), "pull": pull.detach()}, {"logits": logits.detach()}
        )

    def after_step(self, labels, shared):
        for label, logits in zip(labels.tolist(), shared["logits"], strict=True):
            self.memory[label] = 0.9 * self.memory[label] + 0.1 * logits

    def embedder(self):
        return Embedder(self.network, self.network.forward)


def make_data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns 48 noise images ``[48, 32, 16, 3]`` of 6 identities, and their labels."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (48, 32, 16, 3), dtype=np.uint8), np.repeat(np.arange(6), 8)


def make_trainer(
    *, method: Method | None = None, groups: int = 4, epochs: int = 3, precision: str = "float64",
    run_folder: Path | None = None, report=lambda metrics: None, kind: type[Trainer] = Trainer,
    learning_rate: float = 1e-3, device: torch.device = CPU,
    optimizer: AdamParams | SGDParams = ADAM, groups_at_once: int = 1,
) -> Trainer:  # fmt: skip
    images, labels = make_data()
    torch.manual_seed(0)
    dtype = torch.float64 if precision == "float64" else torch.float32
    method = (method or Toy(num_classes=6, groups=groups, seed=3)).to(dtype)
    augmentation = Augmentation(
        seed=1, pad=2, flip=0.5, jitter=None, single_channel=0.0, grayscale=0.0,
        patch=RandomPatch(probability=0.5, area=(0.01, 0.5), aspect=(0.1, 10.0), attempts=10, flip=0.5),
        erasing=Erasing(
            probability=0.5, area=(0.02, 0.33), aspect=(0.3, 3.3), aspect_law="log_uniform", fill=(0, 0, 0), attempts=10
        ),
    )  # fmt: skip
    params = TrainingParams(
        epochs=epochs, optimizer=optimizer, learning_rate=learning_rate,
        decay=CosineDecay(kind="cosine", final=1e-6), weight_decay=5e-4,
        warmup_every="step", warmup_steps=4, warmup_factor=0.1, precision=precision, embedding_batch=16,
    )  # fmt: skip
    return kind(
        name="toy", method=method, identities=labels,
        loader=Loader(images, np.ones(48), IS_INFRARED, augmentation, device, dtype), params=params,
        seed=5, precision=precision, device=device, workers=Workers.current(), run_folder=run_folder,
        meta={"name": "toy"}, report=report, groups_at_once=groups_at_once,
    )  # fmt: skip
