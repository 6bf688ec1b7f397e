"""Any number of workers computes the same thing: gloo processes, float64, 50 steps and more.

The learning rate and the groups of eight images keep the trainings from being chaotic: with 1e-3 and four images, a
change of 1e-13 in the weights alone moves the baseline's loss by 1e-1 within 50 steps, workers or not.
"""

from functools import cache

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as spawn

from pipeline.training.workers import Workers
from tests.methods.examples import each_example, examples
from tests.training.toy import Toy, make_trainer

pytestmark = pytest.mark.ddp

EPOCHS = 51  # of at least one step each
TOLERANCE = 1e-6


def toy():
    return Toy(num_classes=6, groups=4, seed=3)


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


def batch_norm_over_all_groups():
    return BatchNormOverAllGroups(num_classes=6, groups=4, seed=3)


def sampler_of_the_rank():
    return SamplerOfTheRank(num_classes=6, groups=4, seed=3)


BUILDERS = {
    "toy": toy,
    "batch_norm_over_all_groups": batch_norm_over_all_groups,
    "sampler_of_the_rank": sampler_of_the_rank,
    **{name: example.build for name, example in examples().items()},
}


def train_as(rank, size, folder, make_method, precision="float64"):
    """Trains as one of several workers; the first writes losses and state to ``folder``."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
    trainer = make_trainer(epochs=EPOCHS, method=make_method(), learning_rate=1e-4, precision=precision)
    history = trainer.run()
    if rank == 0:
        torch.save({"losses": [row["loss"] for row in history], "state": trainer.method.state_dict()}, folder / "run")
    if size > 1:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """Trains a method with a number of workers, once."""

    @cache
    def run(name, size):
        folder = tmp_path_factory.mktemp(f"{name}-{size}")
        spawn.spawn(train_as, (size, folder, BUILDERS[name]), nprocs=size)
        return torch.load(folder / "run")

    return run


def difference(ours, theirs):
    """Largest difference of losses and weights, relative to the largest entry (what is all below 1e-6 is rounding)."""
    return max(differences(ours, theirs))


def differences(ours, theirs):
    """Returns the largest relative difference of the losses, and that of the state."""
    losses = [tuple(torch.tensor(run["losses"], dtype=torch.float64) for run in (ours, theirs))]
    state = [(value, theirs["state"][name]) for name, value in ours["state"].items() if value.is_floating_point()]
    return tuple(
        max(((a - b).abs().max() / b.abs().max().clamp(min=1e-6)).item() for a, b in pairs) for pairs in (losses, state)
    )


@pytest.mark.parametrize("size", [2, 4])
@each_example(variants=False)
def test_workers_change_neither_losses_nor_weights(train, name, size):
    assert difference(train(name, size), train(name, 1)) < TOLERANCE


@pytest.mark.parametrize("size", [2, 4])
def test_workers_change_nothing_where_random_numbers_are_drawn_in_the_network(train, size):
    assert difference(train("toy", size), train("toy", 1)) < TOLERANCE


@pytest.mark.parametrize("mutant", ["batch_norm_over_all_groups", "sampler_of_the_rank"])
def test_mutants_fail_the_same_comparison(train, mutant):
    assert difference(train(mutant, 2), train(mutant, 1)) > 1000 * TOLERANCE
