"""The loop: load, step, report, save. It knows ``Method``, and no method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from pipeline.batches.loading import Batch, Loader, joined, prefetched
from pipeline.config import Record
from pipeline.layers.embedder import Embedder
from pipeline.training import checkpoint, stopping
from pipeline.training.embed import embed
from pipeline.training.groups import batch_statistics_of, owned_groups, passes, random_layers, split_groups
from pipeline.training.method import Method, StepOutput
from pipeline.training.optimizers import OptimizerParams, load_optimizer, make_optimizer, set_learning_rate
from pipeline.training.precision import Choice, autocast
from pipeline.training.progress import Progress
from pipeline.training.reduction import Reduction, gradients
from pipeline.training.schedules import CountedFrom, Every, too_short, warmup_cosine, warmup_milestones
from pipeline.training.seeding import seed_group
from pipeline.training.workers import Workers

Report = Callable[[dict[str, float]], None]
Validate = Callable[[Method, Loader, Workers], dict[str, float]]
"""Measures the method after an epoch, on every worker; what it returns joins the epoch's metrics."""


class CosineDecay(Record):
    """Half a cosine per training, down to the learning rate ``final``."""

    kind: Literal["cosine"]
    final: Annotated[float, Field(ge=0, le=100)]


class StepDecay(Record):
    """Times ``factor`` after each number of epochs in ``milestones``, counted from the start or the warm-up's end."""

    kind: Literal["steps"]
    milestones: list[Annotated[int, Field(ge=1)]]
    counted_from: CountedFrom
    factor: Annotated[float, Field(gt=0, le=1)]


class ShareOfRun(Record):
    """A length of the schedule as a ``share`` of all steps of the run, however many its data make."""

    share: Annotated[float, Field(ge=0, lt=1)]


class TrainingParams(Record):
    """How a network is trained; a block of params.yaml.

    ``weight_decay`` is an L2 term on every trained parameter, norms and biases included, as fast-reid does it.
    ``epochs`` are passes of ``Method.batches``. The learning rate rises from its ``warmup_factor`` in ``warmup_steps``,
    one ``warmup_every`` step or epoch, or in a share of the run; after that it falls by ``decay``. ``precision`` is one
    of ``pipeline.training.precision.Choice``; ``embedding_batch`` is the number of images embedded at a time.
    """

    epochs: Annotated[int, Field(ge=1)]
    optimizer: OptimizerParams
    learning_rate: Annotated[float, Field(gt=0, le=100)]
    decay: Annotated[CosineDecay | StepDecay, Field(discriminator="kind")]
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    warmup_every: Every
    warmup_steps: Annotated[int, Field(ge=0)] | ShareOfRun
    warmup_factor: Annotated[float, Field(ge=0, le=1)]
    precision: Choice
    embedding_batch: Annotated[int, Field(ge=1)]

    def warmup_length(self, steps_per_epoch: int) -> int:
        """Returns how long the warm-up is, in what ``warmup_every`` says."""
        if isinstance(self.warmup_steps, int):
            return self.warmup_steps
        return round(self.warmup_steps.share * self.epochs * (1 if self.warmup_every == "epoch" else steps_per_epoch))


class NonFiniteLossError(ArithmeticError):
    """A loss that is NaN or infinite; raised before it reaches the weights."""


@dataclass
class EpochState:
    """How far an epoch has come: the quality of its labels, and the sums of each metric over the steps done."""

    quality: dict[str, float]
    steps: int = 0
    total: dict[str, float] = field(default_factory=dict)


@dataclass
class Trainer:
    """Everything that a step moves, and what it needs to move it.

    ``identities`` is ``[N]`` int64, contiguous from 0, -1 for images that are not for training; an unsupervised method
    learns the latter only. ``meta`` goes into each checkpoint; ``run_folder`` None keeps nothing on disk, and is
    otherwise where training looks whether it is to stop; ``report`` is called on every worker after each epoch, with
    what ``validate`` has found among the metrics; ``groups_at_once`` of a worker's groups make one pass.

    Raises:
        ValueError: when several groups are to make one pass and the network draws random numbers, which are a group's.
    """

    name: str
    method: Method
    loader: Loader
    identities: np.ndarray
    params: TrainingParams
    seed: int
    precision: str
    device: torch.device
    workers: Workers
    run_folder: Path | None
    meta: dict[str, Any]
    report: Report
    validate: Validate | None = None
    groups_at_once: int = 1

    def __post_init__(self) -> None:
        self.groups = owned_groups(self.method.groups, self.workers)
        if self.groups_at_once > 1 and (drawing := random_layers(self.method)):
            raise ValueError(f"groups_at_once: expected 1, as {drawing[0]} draws random numbers group by group")
        self.images = np.flatnonzero(self.identities >= 0)
        self.given = shown_labels(self.identities, self.method.supervision)
        self.drawn: np.ndarray | None = None
        self.epoch_state: EpochState | None = None
        self.is_stopping = False
        self.trained = [weight for weight in self.method.network.parameters() if weight.requires_grad]
        self.reduction = Reduction(self.trained, self.workers.size)
        self.optimizer = make_optimizer(
            self.params.optimizer, self.method.network, self.method.heads(), weight_decay=self.params.weight_decay
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "float16")
        self.history: list[dict[str, float]] = []

    def run(self) -> list[dict[str, float]]:
        """Trains to the last epoch, from the newest checkpoint if there is one; returns the metrics per epoch.

        Where it is asked to stop it saves the step reached, and returns the metrics of the epochs until then.
        """
        first = self._resume()
        steps = self.epoch_state.steps if self.epoch_state else 0
        self.workers.check_equal("where to go on and in which precision", (first, steps, self.precision))
        self.workers.broadcast_from_first(self.method.state_dict().values())
        progress = Progress(self.name, epochs=self.params.epochs, epochs_done=first, visible=self.workers.is_first)
        if first or steps:
            progress.say(f"resumed after {_place(first, steps)} of {self.params.epochs}")
        for epoch in range(first, self.params.epochs):
            progress.begin_epoch()
            metrics = self._epoch(epoch, progress)
            if metrics is None:
                break
            if self.validate is not None:
                metrics |= self.validate(self.method, self.loader, self.workers)
            self.history.append({"epoch": epoch + 1, **metrics})
            self.report(self.history[-1])
            self._save(epoch + 1)
            if self.is_stopping:
                break
        return self.history

    def _epoch(self, epoch: int, progress: Progress) -> dict[str, float] | None:
        """Returns the metrics of an epoch, begun or gone on with; None where it was stopped and saved within."""
        self.method.enter_epoch(epoch)
        state, self.epoch_state = self.epoch_state or self._begin(epoch, progress), None
        labels = self._labels()
        batches = list(self.method.batches(labels, epoch))
        if epoch == state.steps == 0:
            self._warn(len(batches), progress)
        self.method.train()
        images = 0
        for step, groups in enumerate(self._loaded(batches, labels, epoch, state.steps), state.steps):
            self._set_learning_rate(epoch, step, len(batches))
            drawn = torch.from_numpy(labels[batches[step].reshape(-1)])
            for name, value in self._step(epoch, step, groups, drawn).items():
                state.total[name] = state.total.get(name, 0.0) + value
            state.steps = step + 1
            images += batches[step].size
            progress.step(epoch, step + 1, len(batches), images)
            if self.is_stopping and step + 1 < len(batches):
                self._save(epoch, state)
                return None
        self.workers.broadcast_from_first(self.method.buffers())
        metrics = {name: value / len(batches) for name, value in state.total.items()}
        if metrics.get("skipped_steps") == 1 and self.scaler.get_scale() < 1:
            raise NonFiniteLossError(
                f"{self.name}, epoch {epoch + 1}: float16 overflowed in the gradient of every step, so that nothing "
                "was learned; set training.precision to float32 or bfloat16"
            )
        speed = progress.end_epoch(epoch, images, metrics)
        rate = self.optimizer.param_groups[0]["lr"]
        return {**metrics, **state.quality, "steps": len(batches), "learning_rate": rate, "images_per_second": speed}

    def _warn(self, steps_per_epoch: int, progress: Progress) -> None:
        """Says where the run is too short to learn in, or for its schedule."""
        decay = self.params.decay
        for line in too_short(
            epochs=self.params.epochs,
            steps_per_epoch=steps_per_epoch,
            warmup_every=self.params.warmup_every,
            warmup_steps=self.params.warmup_length(steps_per_epoch),
            milestones=decay.milestones if isinstance(decay, StepDecay) else (),
            counted_from=decay.counted_from if isinstance(decay, StepDecay) else "start",
        ):
            progress.say(f"warning: {line}")

    def _begin(self, epoch: int, progress: Progress) -> EpochState:
        """Draws the labels of the epoch."""
        seed_group(self.seed, epoch, step=-1, group=0)
        return EpochState(self._note(self.method.begin_epoch(epoch, self._embed_all, self.given), progress))

    def _labels(self) -> np.ndarray:
        """Returns the labels ``[N]`` that were drawn, -1 for images that are not for training."""
        labels = np.full_like(self.identities, -1)
        labels[self.images] = self.drawn
        return labels

    def _note(self, labels: np.ndarray, progress: Progress) -> dict[str, float]:
        """Says what is new about the epoch's labels, and returns their quality on the first worker."""
        before, self.drawn = self.drawn, labels[self.images]
        is_new = before is None or not np.array_equal(before, self.drawn)
        is_infrared = self.loader.is_infrared[self.images]
        if is_new and (line := self.method.describe_labels(self.drawn, is_infrared)):
            progress.say(line)
        if not self.workers.is_first:
            return {}
        cameras = self.loader.cameras[self.images]
        quality = self.method.label_quality(self.drawn, before, self.identities[self.images], cameras)
        return {name: float(value) for name, value in quality.items()}

    def _loaded(self, batches: list[np.ndarray], labels: np.ndarray, epoch: int, first: int) -> Iterator[list[Batch]]:
        """Yields this worker's groups of each global batch from the ``first`` on, loaded while the step before runs."""

        def load() -> Iterator[list[Batch]]:
            for step, rows in enumerate(batches[first:], first):
                positions = step * rows.size + np.arange(rows.size).reshape(rows.shape)
                yield [
                    self.loader.load(rows[group], labels, epoch=epoch, positions=positions[group])
                    for group in self.groups
                ]

        return prefetched(load())

    def _step(self, epoch: int, step: int, groups: list[Batch], labels: Tensor) -> dict[str, float]:
        """Returns the losses of a step; ``labels`` ``[groups * B]`` on the CPU are those of the whole batch."""
        self.optimizer.zero_grad(set_to_none=True)
        batches = dict(zip(self.groups, groups, strict=True))
        outputs: list[StepOutput] = []
        for together in passes(self.groups, self.groups_at_once):
            outputs += self._pass(epoch, step, together, [batches[group] for group in together])
        parts = self._mean_parts(outputs)
        _check_finite(parts, f"{self.name} ({type(self.method).__name__}), epoch {epoch + 1}, step {step + 1}")
        self.scaler.step(self.optimizer)
        self.scaler.update()
        shared = {
            name: self.workers.all_gather(torch.cat([output.shared[name] for output in outputs]))
            for name in outputs[0].shared
        }
        self.method.after_step(labels, shared)
        return parts

    def _pass(self, epoch: int, step: int, groups: Sequence[int], batches: list[Batch]) -> list[StepOutput]:
        """Runs groups forward and backward; their gradient is added to the others', which the last pass sums."""
        seed_group(self.seed, epoch, step, groups[0])
        backward = self.reduction.backward if groups[-1] == self.groups[-1] else torch.autograd.backward
        with batch_statistics_of(groups, self.method):
            with autocast(self.precision, self.device):
                outputs = self._run(batches)
            loss = outputs[0].loss if len(outputs) == 1 else torch.stack([output.loss for output in outputs]).sum()
            backward(self.scaler.scale(loss / self.method.groups))
        for output in outputs:
            output.loss = output.loss.detach()
        return outputs

    def _run(self, batches: list[Batch]) -> list[StepOutput]:
        """Returns the losses of groups that the network sees in one pass."""
        if len(batches) == 1:
            return [self.method(batches[0])]
        seen = split_groups(self.method.run_network(joined(batches)), len(batches))
        return [self.method.find_loss(output, batch) for output, batch in zip(seen, batches, strict=True)]

    def _mean_parts(self, outputs: list[StepOutput]) -> dict[str, float]:
        """Returns the loss and its parts, averaged over all groups of all workers, and the gradient's norm.

        In float16 an infinite norm is no error but a step that the scaler skips; there its share stands instead.
        Whether the first worker is asked to stop goes along, so that all stop after the same step.
        """
        names = ["loss", *outputs[0].parts]
        rows = [
            torch.stack([output.loss.double(), *(part.double() for part in output.parts.values())])
            for output in outputs
        ]
        mean: Tensor = torch.stack(rows).sum(0) / self.method.groups
        is_asked = self.workers.is_first and self.run_folder is not None and stopping.is_requested(self.run_folder)
        mean = torch.cat([mean, mean.new_full((1,), float(is_asked))])
        self.workers.all_reduce_sum(mean)
        norm = torch.nn.utils.get_total_norm(gradients(self.trained))
        *values, asked, size = torch.cat([mean, norm.double().view(1)]).tolist()
        self.is_stopping = asked > 0
        parts = dict(zip(names, values, strict=True))
        if self.scaler.is_enabled():
            return {**parts, "skipped_steps": float(not np.isfinite(size))}
        return {**parts, "gradient_norm": size}

    def _set_learning_rate(self, epoch: int, step: int, steps_per_epoch: int) -> None:
        warmup: dict[str, Any] = {
            "steps_per_epoch": steps_per_epoch,
            "learning_rate": self.params.learning_rate,
            "warmup_every": self.params.warmup_every,
            "warmup_steps": self.params.warmup_length(steps_per_epoch),
            "warmup_factor": self.params.warmup_factor,
        }
        match self.params.decay:
            case CosineDecay(final=final):
                rate = warmup_cosine(epoch, step, epochs=self.params.epochs, final_learning_rate=final, **warmup)
            case StepDecay() as decay:
                falls: dict[str, Any] = {
                    "milestones": decay.milestones,
                    "factor": decay.factor,
                    "counted_from": decay.counted_from,
                }
                rate = warmup_milestones(epoch, step, **falls, **warmup)
        set_learning_rate(self.optimizer, rate)

    def _embed_all(self, embedder: Embedder) -> Tensor:
        size = self.params.embedding_batch
        return embed(embedder, self.loader, self.images, batch_size=size, workers=self.workers)

    def _save(self, epochs: int, state: EpochState | None = None) -> None:
        """Saves the state after so many epochs and, if another one has begun, its steps."""
        if self.run_folder is not None and self.workers.is_first:
            trainer = {
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "history": self.history,
                "labels": torch.from_numpy(self.drawn),
                "random": torch.get_rng_state(),
                "begun": asdict(state) if state else None,
            }
            steps = state.steps if state else 0
            checkpoint.save_epoch(self.run_folder, epochs, self.method, trainer, self.meta, steps=steps)
        self.workers.barrier()

    def _resume(self) -> int:
        """Returns the number of epochs that the newest checkpoint has behind it, after restoring it."""
        found = checkpoint.latest(self.run_folder) if self.run_folder is not None else None
        if found is None:
            return 0
        if (was := found.meta.get("precision")) != self.meta.get("precision"):
            raise checkpoint.CheckpointError(
                f"{found.folder} was trained in {was}, and this device would go on in {self.meta.get('precision')}: "
                "set training.precision, go on where it was begun, or remove the folder to start afresh"
            )
        trainer = found.restore(self.method)
        load_optimizer(self.optimizer, trainer["optimizer"])
        self.scaler.load_state_dict(trainer["scaler"])
        self.history = trainer["history"]
        self.drawn = trainer["labels"].numpy()
        self.epoch_state = EpochState(**trainer["begun"]) if trainer["begun"] else None
        torch.set_rng_state(trainer["random"])
        return int(found.meta["epoch"])


def shown_labels(identities: np.ndarray, supervision: str) -> np.ndarray:
    """Returns what a method is shown of the true ``identities`` ``[N]``: all, or which images are for training."""
    return identities if supervision == "supervised" else np.minimum(identities, 0)


def _place(epochs: int, steps: int) -> str:
    return f"epoch {epochs}" + (f" and {steps} steps" if steps else "")


def _check_finite(parts: dict[str, float], where: str) -> None:
    """Raises NonFiniteLossError naming the parts; all workers see the same sums, so all stop together."""
    broken = [name for name, value in parts.items() if not np.isfinite(value)]
    if broken:
        named = ", ".join(f"{name} = {parts[name]}" for name in broken)
        raise NonFiniteLossError(
            f"{where}: {named}. The weights were not updated and the last checkpoint is sound; "
            "try a lower learning rate, a longer warm-up or a wider precision"
        )
