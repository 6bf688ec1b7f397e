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

from pipeline.backbones.resnet import BackboneParams
from pipeline.batches.samplers import BatchParams
from pipeline.methods.baseline.method import Baseline, BaselineParams
from pipeline.methods.mdpr.method import MDPR, MDPRParams
from pipeline.methods.mskd.method import MSKD, ClusteringParams, FirstPassParams, MSKDParams, StudentParams
from pipeline.methods.smmd.method import SMMD, MutualParams, PrototypeParams, SelfMimicParams, SMMDParams
from pipeline.training.workers import Workers
from tests.training.toy import IS_INFRARED, Toy, make_trainer

pytestmark = pytest.mark.ddp

EPOCHS = 51  # of at least one step each
TOLERANCE = 1e-6


BACKBONE = BackboneParams(depth=18, width=0.125, ibn=False, last_stride=1, stem_pool="padded")
BATCH = BatchParams(groups=4, identities=2, images=4)


def toy():
    return Toy(num_classes=6, groups=4, seed=3)


def baseline():
    params = BaselineParams(backbone=BACKBONE, pooling="gem", smoothing=0.1, triplet_margin=0.3, batch=BATCH)
    return Baseline(params, num_classes=6, height=32, width=16, seed=3)


def mdpr():
    params = MDPRParams(
        backbone=BACKBONE, embedding_dim=8, hard_global=True, part_num=2, soft=True, attn_num=2, attn_guided=True,
        bap_heads=True, fusion=True, diversity=True, foreground_weight=1e-3, distillation="predictor_cosine",
        scale=64.0, margin=0.35, smoothing=0.1, triplet_margin=0.05, batch=BATCH,
        features=["hard_global", "hard_parts", "attn4", "attn3", "fusion"],
    )  # fmt: skip
    return MDPR(params, num_classes=6, height=32, width=16, seed=3)


def smmd():
    params = SMMDParams(
        backbone=BACKBONE, pooling="gem", non_local=(0, 1, 1, 0), smoothing=0.1, triplet_margin=None, temperature=4.0,
        prototypes=PrototypeParams(source="average", momentum=0.9, temperature=0.1),
        self_mimic=SelfMimicParams(form="posterior", weight=1.0, first_epoch=5, contrast=0.5, classify=1.0),
        mutual=MutualParams(level="person", direction="both", weight=1.0, first_epoch=10),
        batch=BatchParams(groups=4, identities=2, images=2),
    )  # fmt: skip
    method = SMMD(params, num_classes=6, height=32, width=16, seed=3)
    method.begin_training(np.ones(48), IS_INFRARED, {})
    return method


def student():
    """MSKD with all its switches on; its teacher is another network."""
    params = MSKDParams(
        backbone=BACKBONE, stripes=2, features="global", temperature=0.5, momentum=0.1, local_weight=0.2, iterations=1,
        other_cameras_first=True,
        clustering=ClusteringParams(center_cameras=True, local_weight=0.15, k1=6, k2=2, eps=0.7, min_samples=2),
        first_pass=FirstPassParams(clusters=None, iterations=2, momentum=1.0),
        student=StudentParams(teacher="", mimicry_weight=1.0, mimicked="all", teacher_statistics="batch"),
        batch=BATCH,
    )  # fmt: skip
    method = MSKD(params, num_classes=1, height=32, width=16, seed=3)
    method.teacher.load_state_dict(MSKD(params, num_classes=1, height=32, width=16, seed=4).network.state_dict())
    method.begin_training(np.arange(48) % 3, np.zeros(48, dtype=bool), {})
    return method


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
    def run(method, size):
        folder = tmp_path_factory.mktemp(f"{method.__name__}-{size}")
        spawn.spawn(train_as, (size, folder, method), nprocs=size)
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
@pytest.mark.parametrize("method", [toy, baseline, mdpr, smmd, student])
def test_workers_change_neither_losses_nor_weights(train, method, size):
    assert difference(train(method, size), train(method, 1)) < TOLERANCE


@pytest.mark.parametrize("mutant", [batch_norm_over_all_groups, sampler_of_the_rank])
def test_mutants_fail_the_same_comparison(train, mutant):
    assert difference(train(mutant, 2), train(mutant, 1)) > 1000 * TOLERANCE
