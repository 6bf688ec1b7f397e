"""What more workers gain, and what they send each other: ``python benchmarks/scaling.py``.

``workers``: steps of the default run's ``mdpr`` on 32 images at 64x32, in 4 groups (it has 2), shared out to 1, 2 and 4
gloo processes of one thread each; theirs is so many times the rate of one, so the ratio is the efficiency. More
processes than cores are not measured. ``volume``: the trained weights of each paper's network, and the bytes that its
workers sum each step. ``overlap``: of the bytes of each paper's network on a ResNet-50, those sent before the backward
pass is through the network's first weight; counted, not timed. ``--small`` takes small networks, to see that it runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
import torch.multiprocessing as spawn
import train_step
from speed_comparison import table
from speed_comparison.images import PARAMS
from speed_comparison.table import Row

from pipeline.config import load, parse
from pipeline.experiments import resolve_experiment
from pipeline.methods.registry import find
from pipeline.training.loop import Trainer
from pipeline.training.method import Method
from pipeline.training.reduction import Reduction
from pipeline.training.workers import Workers

SIZES, GROUPS, STEPS, LEAST = (2, 4), 4, 5, 0.9
CLASSES = {
    "mdpr": 64, "mdpr_market1501": 751, "baseline_market1501": 751, "mskd_student_market1501": 1, "smmd_sysu_mm01": 395,
}  # fmt: skip
"""The identities of each experiment's data set; an unsupervised method is told of none."""


def efficiencies(given: argparse.Namespace) -> list[Row]:
    """Returns the rate of one worker, and of more beside as many times that rate."""
    cores = len(os.sched_getaffinity(0))
    rates = {size: 0.0 for size in (1, *SIZES) if size <= cores}
    for _ in range(given.repeats):
        for size in rates:  # in turns, as a machine's own speed drifts
            rates[size] = max(rates[size], rate(size, given.small))
    alone = rates[1]
    rows = [table.shown("mdpr: 1 worker", "images/s", alone)]
    for size in SIZES:
        what = f"mdpr: {size} workers"
        if size in rates:
            rows.append(table.at_least(what, "images/s", rates[size], size * alone, LEAST))
        else:
            rows.append(table.unmeasured(what, "images/s", f">= {LEAST:g} times", f"{size} cores"))
    return rows


def rate(size: int, is_small: bool) -> float:
    """Returns the images per second of so many workers."""
    with TemporaryDirectory() as folder:
        spawn.spawn(work, (size, Path(folder), is_small), nprocs=size)
        return float((Path(folder) / "rate").read_text())


def work(rank: int, size: int, folder: Path, is_small: bool) -> None:
    """Times steps as one of ``size`` workers; the first writes their rate."""
    torch.set_num_threads(1)
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
    trainer, batch = make_trainer(is_small), train_step.make_batch(is_small=True)
    groups = [batch] * len(trainer.groups)
    labels = batch.labels.repeat(GROUPS)
    steps = {"steps": lambda: [trainer._step(0, step, groups, labels) for step in range(STEPS)]}
    seconds = table.interleaved(steps, repeats=2)["steps"]
    if rank == 0:
        (folder / "rate").write_text(str(STEPS * GROUPS * len(batch.labels) / seconds))
    if size > 1:
        dist.destroy_process_group()


def make_trainer(is_small: bool) -> Trainer:
    """Returns this worker's trainer of the default run's network."""
    settings = resolve_experiment(load(PARAMS), "mdpr")["settings"]
    settings["batch"] |= {"groups": GROUPS}
    if is_small:
        settings["backbone"] |= {"width": 0.125}
    method = built("mdpr", settings, height=64, width=32)
    return dataclasses.replace(train_step.trainer_of("mdpr", method.train()), workers=Workers.current())


def built(name: str, settings: dict[str, Any], **size: int) -> Method:
    """Returns an experiment's method with these settings."""
    kind = find(resolve_experiment(load(PARAMS), name)["method"])
    return kind(parse(kind.params_type, settings, name), num_classes=CLASSES[name], seed=1, **size)


def trained(method: Method) -> list[torch.nn.Parameter]:
    return [weight for weight in method.network.parameters() if weight.requires_grad]


def volumes(given: argparse.Namespace) -> list[Row]:
    """Returns how much each experiment's workers sum each step; its network is built without memory."""
    rows = []
    for name in CLASSES:
        with torch.device("meta"):
            settings = resolve_experiment(load(PARAMS), name)["settings"]
            weights = trained(built(name, settings, height=256, width=128))
        count, size = sum(weight.numel() for weight in weights), sum(weight.nbytes for weight in weights)
        rows.append(table.shown(f"{name}: trained weights", "million", count / 1e6))
        rows.append(table.shown(f"{name}: summed each step", "MB", size / 1e6))
    return rows


def overlaps(given: argparse.Namespace) -> list[Row]:
    """Returns how much of each paper's gradient is on its way when the backward pass comes to its end."""
    torch.set_num_threads(1)
    rows = []
    for name in train_step.EXPERIMENTS:
        method = train_step.build(name, given.small)
        loss = method(train_step.make_batch(given.small)).loss
        early, whole = sent(loss, trained(method))
        rows.append(table.shown(f"{name}: sent before the first weight is done", "MB", early / 1e6, whole / 1e6))
    return rows


def sent(loss: torch.Tensor, weights: list[torch.nn.Parameter]) -> tuple[int, int]:
    """Returns the bytes that a worker of two sends before the pass is through the first weight, and all."""
    sizes: list[int] = []
    early: list[int] = []

    def all_reduce(flat: torch.Tensor, async_op: bool) -> SimpleNamespace:
        sizes.append(flat.nbytes)
        return SimpleNamespace(wait=lambda: None)

    hook = weights[0].register_post_accumulate_grad_hook(lambda _: early.append(sum(sizes)))
    with patch.object(dist, "all_reduce", all_reduce):
        Reduction(weights, size=2).backward(loss)
    hook.remove()
    return early[0], sum(sizes)


if __name__ == "__main__":
    table.main(
        __doc__,
        {"workers": efficiencies, "volume": volumes, "overlap": overlaps},
        {"name": "--small", "action": "store_true", "help": "small networks, to see that it runs"},
        {"name": "--repeats", "type": int, "default": 5, "help": "turns of each number of workers"},
    )
