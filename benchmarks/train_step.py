"""A training step of each paper beside the same mathematics in plain eager form: ``python benchmarks/train_step.py``.

One group of 8 images at 256x128, ResNet-50, float32, on one core: networks, numbers and start are the same on both
sides; theirs has the losses and updates of ``speed_works.eager`` and the optimizer as torch gives it, ours is the step
of ``pipeline.training.loop``. ``NAME-channels-last`` lays the same network out with its channels last, which changes
the last bits and is therefore no default. ``groups`` is a step of four groups beside one of a single group of as many
images. ``recompute`` is a step with residual blocks that run again in the backward pass (ours) and without (theirs),
and what a forward pass keeps for it. ``--small`` takes a small network, to see that it runs.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from speed_works import eager, table
from speed_works.pictures import PARAMS
from speed_works.table import Row
from torch.profiler import ProfilerActivity, profile

from pipeline.config import block, load, parse
from pipeline.data.loading import Batch, Loader
from pipeline.methods.registry import find
from pipeline.models.resnet import recompute_blocks
from pipeline.training.loop import Trainer, TrainingParams
from pipeline.training.method import Method
from pipeline.training.workers import Workers

CPU, IMAGES, CLASSES = torch.device("cpu"), 8, 751
EXPERIMENTS = {"mdpr": "mdpr_market1501", "mskd": "mskd_student_market1501", "smmd": "smmd_sysu_mm01"}
LOSSES: dict[str, Callable[..., tuple[torch.Tensor, Any]]] = {
    "mdpr": eager.mdpr_loss, "mskd": eager.mskd_loss, "smmd": eager.smmd_loss,
}  # fmt: skip
UPDATES: dict[str, Callable[..., None]] = {"mskd": eager.mskd_update, "smmd": eager.smmd_update}


def build(name: str, is_small: bool) -> Method:
    """Returns the paper's method on a ResNet-50, with a state as in the midst of a training."""
    kind = find(name)
    settings = copy.deepcopy(block(load(PARAMS), "experiments", EXPERIMENTS[name], "settings"))
    settings["backbone"] |= {"depth": 50, "width": 0.125 if is_small else 1.0, "ibn": False}
    settings["batch"] |= {"groups": 1}
    if is_small and "embedding_dim" in settings:
        settings["embedding_dim"] = 16
    params = parse(kind.params_type, settings, name)
    method = kind(params, num_classes=CLASSES, height=64 if is_small else 256, width=32 if is_small else 128, seed=1)
    generator = torch.Generator().manual_seed(2)
    method.enter_epoch(100)  # every term has begun
    if name == "smmd":
        prototypes = cast(torch.Tensor, method.prototypes)
        prototypes.copy_(torch.randn(prototypes.shape, generator=generator))
        cast(torch.Tensor, method.seen).fill_(True)
    if name == "mskd":
        memories = cast(torch.Tensor, method.memories)
        vectors = torch.randn(len(memories), CLASSES, memories.shape[2], generator=generator)
        method.memories = torch.nn.functional.normalize(vectors, dim=2)
    return method.train()


def make_batch(is_small: bool, dtype: torch.dtype = torch.float32, count: int = IMAGES) -> Batch:
    """Returns images of persons with four each, half of them infrared."""
    height, width = (64, 32) if is_small else (256, 128)
    images = torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(3)).to(dtype)
    rows = torch.arange(count)
    return Batch(images, labels=rows // 4, is_infrared=rows % 2 == 1, rows=rows)


def trainer_of(name: str, method: Method) -> Trainer:
    """Returns the trainer whose steps are timed, with the paper's optimizer."""
    training = block(load(PARAMS), "experiments", EXPERIMENTS[name], "training")
    identities = np.arange(IMAGES) // 4
    return Trainer(
        name=name, method=method, loader=cast(Loader, None), identities=identities,
        params=parse(TrainingParams, training, name), seed=1, precision="float32", device=CPU,
        workers=Workers(0, 1), run_folder=None, meta={}, report=lambda metrics: None,
    )  # fmt: skip


def plain_step(name: str, method: Method) -> Callable[[Batch], float]:
    """Returns the step in eager form, with torch's own optimizer as it comes."""
    weights = [weight for weight in method.network.parameters() if weight.requires_grad]
    if name == "smmd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(
            weights, lr=1e-4, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
    else:
        optimizer = torch.optim.Adam(weights, lr=1e-4, weight_decay=5e-4)

    def step(batch: Batch) -> float:
        optimizer.zero_grad()
        loss, state = LOSSES[name](method, batch)
        loss.backward()
        optimizer.step()
        if name in UPDATES:
            UPDATES[name](method, batch, state)
        return loss.item()

    return step


def steps(name: str, given: argparse.Namespace) -> list[Row]:
    """Returns the rows of one paper."""
    torch.set_num_threads(1)
    batch, method = make_batch(given.small), build(name, given.small)
    ours, theirs, last = trainer_of(name, method), copy.deepcopy(method), copy.deepcopy(method)
    last = last.to(memory_format=torch.channels_last)
    lying = Batch(batch.images.to(memory_format=torch.channels_last), batch.labels, batch.is_infrared, batch.rows)
    others = trainer_of(name, last)
    plain = plain_step(name, theirs)
    seconds = table.interleaved(
        {
            "ours": lambda: ours._step(0, 0, [batch]),
            "theirs": lambda: plain(batch),
            "channels last": lambda: others._step(0, 0, [lying]),
        },
        repeats=given.repeats,
        clock=time.thread_time,
    )
    rate = {side: IMAGES / taken for side, taken in seconds.items()}
    share = convolutions(lambda: ours._step(0, 0, [batch]))
    what = f"{name}: step of {IMAGES} images at 256x128"
    gpu = f"{name}: step on a GPU beside eager"
    return [
        table.at_least(what, "images/s", rate["ours"], rate["theirs"], 1.3),
        table.at_least(f"{what}, channels last", "images/s", rate["channels last"], rate["theirs"], 1.3),
        table.shown(f"{name}: convolutions, share of the step", "%", 100 * share),
        table.unmeasured(f"{gpu} autocast", "images/s", ">= 1.5 times", "a GPU"),
        table.unmeasured(f"{gpu} float32", "images/s", ">= 2.5 times", "a GPU"),
    ]


def convolutions(step: Callable[[], Any]) -> float:
    """Returns which share of a step's time goes to convolutions, forward and backward."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    return sum(spent for name, spent in times.items() if "conv" in name) / sum(times.values())


def grouping(given: argparse.Namespace) -> list[Row]:
    """Returns the rows of what four groups cost beside one of as many images."""
    torch.set_num_threads(1)
    one = build("mskd", given.small)
    four = copy.deepcopy(one)
    four.groups = 4
    small, large = make_batch(given.small), make_batch(given.small, count=4 * IMAGES)
    ours, theirs = trainer_of("mskd", four), trainer_of("mskd", one)
    seconds = table.interleaved(
        {"ours": partial(ours._step, 0, 0, 4 * [small]), "theirs": partial(theirs._step, 0, 0, [large])},
        repeats=given.repeats,
        clock=time.thread_time,
    )
    what = "mskd: step of four groups beside one of"
    return [
        table.at_most(f"{what} {4 * IMAGES} images", "s", seconds["ours"], seconds["theirs"], 1.1),
        table.unmeasured(f"{what} as many images, GPU", "s", "<= 1.1 times", "a GPU"),
    ]


def recomputation(given: argparse.Namespace) -> list[Row]:
    """Returns the rows of what recomputation saves, and what it costs."""
    torch.set_num_threads(1)
    batch, rows = make_batch(given.small), []
    for name in EXPERIMENTS:
        method = build(name, given.small)
        again = copy.deepcopy(method)
        recompute_blocks(again.network)
        sizes = [bytes_kept(side, batch) / 2**20 for side in (again, method)]
        ours, theirs = trainer_of(name, again), trainer_of(name, method)
        seconds = table.interleaved(
            {
                "ours": partial(ours._step, 0, 0, [batch]),
                "theirs": partial(theirs._step, 0, 0, [batch]),
            },
            repeats=given.repeats,
            clock=time.thread_time,
        )
        rows.append(table.shown(f"{name}: kept for the backward pass, recomputing blocks", "MiB", *sizes))
        rows.append(table.shown(f"{name}: step, recomputing blocks", "s", seconds["ours"], seconds["theirs"]))
    return rows


def bytes_kept(method: Method, batch: Batch) -> int:
    """Returns how much a forward pass keeps for the backward pass, beside the method's own tensors."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*method.parameters(), *method.buffers())}
    kept = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = method(batch)
    assert output.loss.requires_grad
    return sum(storage.nbytes() for storage in kept.values())


if __name__ == "__main__":
    table.main(
        __doc__,
        {**{name: partial(steps, name) for name in EXPERIMENTS}, "groups": grouping, "recompute": recomputation},
        {"name": "--small", "action": "store_true", "help": "a small network, to see that it runs"},
        {"name": "--repeats", "type": int, "default": 3, "help": "turns of each side"},
    )
