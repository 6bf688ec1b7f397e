"""A training step of each paper beside the same mathematics in plain eager form: ``python benchmarks/train_step.py``.

One group of 8 images at 256x128, ResNet-50, float32, on one core: networks, numbers and start are the same on both
sides; theirs has the losses and updates of ``speed_comparison.eager`` and torch's own optimizer, ours is the step of
``pipeline.training.loop``. ``NAME, channels last`` lays the same network out with its channels last, which changes
the last bits and is therefore no default. Where there is a GPU, ours is also timed there with 64 images a group, in
autocast, channels last and, with ``--compile``, compiled, beside eager autocast and eager float32.
``groups`` is a step of four groups, in turn and in one pass, beside one of a single group of as many images.
``recompute`` is a step with residual blocks that run again in the backward pass (ours) and without (theirs), and what a
forward pass keeps for it. ``compile`` is a step that torch.compile has fused beside one that it has not.
``pooling`` is MDPR's pooling under attention map by map (ours) beside all maps in one convolution.
``--small`` takes a small network, to see that it runs.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from speed_comparison import eager, table
from speed_comparison.images import PARAMS
from speed_comparison.table import Row
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from pipeline.backbones.resnet import recompute_blocks
from pipeline.batches.loading import Batch, Loader
from pipeline.config import load, parse
from pipeline.experiments import resolve_experiment
from pipeline.layers.necks import Projection
from pipeline.methods.mdpr.attention import AttentionPool
from pipeline.methods.registry import find
from pipeline.training.loop import Trainer, TrainingParams
from pipeline.training.method import Method
from pipeline.training.precision import autocast, resolve, use_plain_float32
from pipeline.training.step import PLAIN, prepared
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
    settings = resolve_experiment(load(PARAMS), EXPERIMENTS[name])["settings"]
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


def make_batch(
    is_small: bool, dtype: torch.dtype = torch.float32, count: int = IMAGES, device: torch.device = CPU
) -> Batch:
    """Returns images of persons with four each, half of them infrared."""
    height, width = (64, 32) if is_small else (256, 128)
    images = torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(3)).to(dtype)
    rows = torch.arange(count, device=device)
    return Batch(images.to(device), labels=rows // 4, is_infrared=rows % 2 == 1, rows=rows)


def trainer_of(
    name: str, method: Method, *, device: torch.device = CPU, precision: str = "float32", at_once: int = 1
) -> Trainer:
    """Returns the trainer whose steps are timed, with the paper's optimizer."""
    training = resolve_experiment(load(PARAMS), EXPERIMENTS[name])["training"]
    identities = np.arange(IMAGES) // 4
    return Trainer(
        name=name, method=method, loader=cast(Loader, None), identities=identities,
        params=parse(TrainingParams, training, name), seed=1, precision=precision, device=device,
        workers=Workers(0, 1), run_folder=None, meta={}, report=lambda metrics: None, groups_at_once=at_once,
    )  # fmt: skip


def step_of(trainer: Trainer, *groups: Batch) -> Callable[[], dict[str, float]]:
    """Returns the step by these groups."""
    return partial(trainer._step, 0, 0, [*groups], torch.cat([batch.labels for batch in groups]).cpu())


def plain_step(
    name: str, method: Method, *, device: torch.device = CPU, precision: str = "float32"
) -> Callable[[Batch], float]:
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
        with autocast(precision, device):
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
            "ours": step_of(ours, batch),
            "theirs": lambda: plain(batch),
            "channels last": step_of(others, lying),
        },
        repeats=given.repeats,
        clock=time.thread_time,
    )
    rate = {side: IMAGES / taken for side, taken in seconds.items()}
    share = convolutions(step_of(ours, batch))
    what = f"{name}: step of {IMAGES} images at 256x128"
    return [
        table.at_least(what, "images/s", rate["ours"], rate["theirs"], 1.3),
        table.at_least(f"{what}, channels last", "images/s", rate["channels last"], rate["theirs"], 1.3),
        table.shown(f"{name}: convolutions, share of the step", "%", 100 * share),
        *(beside_eager(name, given, torch.device("cuda")) if torch.cuda.is_available() else without_gpu(name)),
    ]


def without_gpu(name: str) -> list[Row]:
    """Returns the rows of ``beside_eager`` where there is none."""
    what = f"{name}: step on a GPU beside eager"
    return [
        table.unmeasured(f"{what} autocast", "images/s", ">= 1.5 times", "a GPU"),
        table.unmeasured(f"{what} float32", "images/s", ">= 2.5 times", "a GPU"),
        table.unmeasured(f"{name}: share of the rate of large matrix products", "%", "", "a GPU"),
    ]


def beside_eager(name: str, given: argparse.Namespace, device: torch.device) -> list[Row]:
    """Returns the rows of a step as a GPU takes it."""
    count = IMAGES if given.small else 64
    batch, precision = make_batch(given.small, count=count, device=device), resolve("auto", device)
    methods = [build(name, given.small).to(device) for _ in range(3)]
    step = PLAIN.model_copy(update={"compile": given.compile})
    use_plain_float32()
    with FlopCounterMode(display=False) as counter:
        LOSSES[name](methods[1], batch)[0].backward()
    with prepared(methods[0], step, device, print):
        ours = trainer_of(name, methods[0], device=device, precision=precision)
        plain = plain_step(name, methods[1], device=device)
        mixed = plain_step(name, methods[2], device=device, precision=precision)
        once = step_of(ours, batch)
        seconds = table.interleaved(
            {
                "ours": lambda: finished(device, once()),
                "float32": lambda: finished(device, plain(batch)),
                "autocast": lambda: finished(device, mixed(batch)),
            },
            repeats=given.repeats,
        )
    rate = {side: count / taken for side, taken in seconds.items()}
    share = counter.get_total_flops() / seconds["ours"] / product_rate(device, precision, 256 if given.small else 8192)
    what = f"{name}: step on a GPU beside eager"
    return [
        table.at_least(f"{what} autocast", "images/s", rate["ours"], rate["autocast"], 1.5),
        table.at_least(f"{what} float32", "images/s", rate["ours"], rate["float32"], 2.5),
        table.shown(f"{name}: share of the rate of large matrix products", "%", 100 * share),
    ]


def finished(device: torch.device, result: Any) -> Any:
    """Returns the result once the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return result


def product_rate(device: torch.device, precision: str, size: int) -> float:
    """Returns how many operations a second a product of two square matrices reaches."""
    matrix = torch.randn(size, size, device=device, dtype=getattr(torch, precision))
    seconds = table.interleaved({"product": lambda: finished(device, matrix @ matrix)}, repeats=10)
    return 2 * size**3 / seconds["product"]


def convolutions(step: Callable[[], Any]) -> float:
    """Returns which share of a step's time goes to convolutions, forward and backward."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    return sum(spent for name, spent in times.items() if "conv" in name) / sum(times.values())


def grouping(given: argparse.Namespace) -> list[Row]:
    """Returns the rows of what four groups cost beside one of as many images."""
    torch.set_num_threads(1)
    rows = groups_beside_one(given, CPU, IMAGES, "CPU", time.thread_time)
    if torch.cuda.is_available():
        return rows + groups_beside_one(given, torch.device("cuda"), 64, "GPU", time.perf_counter)
    what = "mskd: four groups beside one as large, GPU"
    return [
        *rows,
        table.unmeasured(f"{what}, in turn", "s", "<= 1.1 times", "a GPU"),
        table.unmeasured(f"{what}, in one pass", "s", "<= 1.1 times", "a GPU"),
    ]


def groups_beside_one(
    given: argparse.Namespace, device: torch.device, images: int, where: str, clock: Callable[[], float]
) -> list[Row]:
    """Returns the rows of four groups of ``images`` on a device, in turn and in one pass."""
    precision = resolve("auto", device)
    one, (turns, once) = build("mskd", given.small).to(device), (build("mskd", given.small).to(device) for _ in "ab")
    turns.groups = once.groups = 4
    small, large = (make_batch(given.small, count=count, device=device) for count in (images, 4 * images))
    ways: dict[str, Any] = {"device": device, "precision": precision}
    sides = {
        "turns": step_of(trainer_of("mskd", turns, **ways), *4 * [small]),
        "once": step_of(trainer_of("mskd", once, **ways, at_once=4), *4 * [small]),
        "one": step_of(trainer_of("mskd", one, **ways), large),
    }
    timed = {name: lambda step=step: finished(device, step()) for name, step in sides.items()}
    with ExitStack() as laid_out:
        for method in (one, turns, once):
            laid_out.enter_context(prepared(method, PLAIN, device, print))
        seconds = table.interleaved(timed, repeats=given.repeats, clock=clock)
    what = f"mskd: four groups of {images} beside one as large, {where}"
    return [
        table.at_most(f"{what}, in turn", "s", seconds["turns"], seconds["one"], 1.1),
        table.at_most(f"{what}, in one pass", "s", seconds["once"], seconds["one"], 1.1),
    ]


def pooling(given: argparse.Namespace) -> list[Row]:
    """Returns the row of MDPR's pooling under attention, forward and backward, map by map (ours) and in one."""
    torch.set_num_threads(1)
    channels, size = (128, 64) if given.small else (2048, 512)
    pool = AttentionPool(channels, size, attn_num=2)
    generator = torch.Generator().manual_seed(4)
    maps = torch.randn(IMAGES, channels, 16, 8, generator=generator).requires_grad_()
    attention = torch.rand(IMAGES, 2, 16, 8, generator=generator).requires_grad_()
    seconds = table.interleaved(
        {
            "ours": lambda: pool(maps, attention).sum().backward(),
            "theirs": lambda: pooled_in_one(pool, maps, attention).sum().backward(),
        },
        repeats=4 * given.repeats,
        clock=time.thread_time,
    )
    return [table.shown("mdpr: attention pooled map by map beside in one", "s", seconds["ours"], seconds["theirs"])]


def pooled_in_one(pool: AttentionPool, maps: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
    """Returns what ``pool`` does, by one convolution for all maps, whose result is weighted instead of its input."""
    projections = [cast(Projection, layer) for layer in pool.embed]
    joint = F.conv2d(maps, torch.cat([layer.conv.weight for layer in projections]))
    parts = zip(projections, joint.chunk(len(projections), 1), attention.split(1, 1), strict=True)
    return torch.stack([pool.pool(layer.bn(part * weight).relu()) for layer, part, weight in parts])


def compilation(given: argparse.Namespace) -> list[Row]:
    """Returns the rows of what torch.compile gains on this CPU, and what it takes first."""
    torch.set_num_threads(1)
    batch, rows = make_batch(given.small), []
    for name in EXPERIMENTS:
        method, plain = build(name, given.small), build(name, given.small)
        with prepared(method, PLAIN.model_copy(update={"compile": True}), CPU, print):
            ours, theirs = trainer_of(name, method), trainer_of(name, plain)
            begun = time.perf_counter()
            step_of(ours, batch)()
            first = time.perf_counter() - begun
            seconds = table.interleaved(
                {"ours": step_of(ours, batch), "theirs": step_of(theirs, batch)},
                repeats=given.repeats,
                clock=time.thread_time,
            )
        what = f"{name}: step of {IMAGES} images, compiled"
        rows.append(table.shown(what, "images/s", IMAGES / seconds["ours"], IMAGES / seconds["theirs"]))
        rows.append(table.shown(f"{what}, the first one", "s", first))
    return rows


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
                "ours": step_of(ours, batch),
                "theirs": step_of(theirs, batch),
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
        {
            **{name: partial(steps, name) for name in EXPERIMENTS},
            "groups": grouping,
            "recompute": recomputation,
            "compile": compilation,
            "pooling": pooling,
        },
        {"name": "--small", "action": "store_true", "help": "a small network, to see that it runs"},
        {"name": "--compile", "action": "store_true", "help": "have torch.compile fuse our side on a GPU"},
        {"name": "--repeats", "type": int, "default": 3, "help": "turns of each side"},
    )
