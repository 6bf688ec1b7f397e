"""Any number of workers computes the same thing: gloo processes, float64, 50 steps and more."""

from functools import cache

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as spawn

from pipeline.training.workers import Workers
from tests.training.toy import Toy, make_trainer

pytestmark = pytest.mark.ddp

EPOCHS = 17  # of 3 steps each: 51 steps
TOLERANCE = 1e-6


class BatchNormOverAllGroups(Toy):
    """Mutant: a worker runs its groups as one batch."""

    def __init__(self, **sizes):
        super().__init__(**sizes)
        self.drawn, self.groups = self.groups, Workers.current().size

    def batches(self, labels, epoch):
        merged, self.groups = self.groups, self.drawn
        rows = list(super().batches(labels, epoch))
        self.groups = merged
        return [step.reshape(merged, -1) for step in rows]


class SamplerOfTheRank(Toy):
    """Mutant: each rank draws its own batches."""

    def batches(self, labels, epoch):
        rank = Workers.current().rank
        return [np.roll(rows, rank, axis=1) for rows in super().batches(labels, epoch + 100 * rank)]


def _train(rank, size, folder, method):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
    trainer = make_trainer(epochs=EPOCHS, method=method(num_classes=6, groups=4, seed=3))
    history = trainer.run()
    if rank == 0:
        torch.save({"losses": [row["loss"] for row in history], "state": trainer.method.state_dict()}, folder / "run")
    if size > 1:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """Trains a method with a number of workers, once."""

    @cache
    def run(method, size):
        folder = tmp_path_factory.mktemp(f"{method.__name__}-{size}")
        spawn.spawn(_train, (size, folder, method), nprocs=size)
        return torch.load(folder / "run")

    return run


def difference(ours, theirs):
    """Largest relative difference of losses and weights."""
    pairs = [(torch.tensor(ours["losses"]), torch.tensor(theirs["losses"]))]
    pairs += [(value, theirs["state"][name]) for name, value in ours["state"].items() if value.is_floating_point()]
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("method", [Toy])
def test_workers_change_neither_losses_nor_weights(train, method, size):
    assert difference(train(method, size), train(method, 1)) < TOLERANCE


@pytest.mark.parametrize("mutant", [BatchNormOverAllGroups, SamplerOfTheRank])
def test_mutants_fail_the_same_comparison(train, mutant):
    assert difference(train(mutant, 2), train(mutant, 1)) > 1000 * TOLERANCE
