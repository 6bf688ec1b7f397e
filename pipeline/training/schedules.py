"""Learning rates as pure functions of (epoch, step), so that resuming needs no scheduler state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

Every = Literal["step", "epoch"]
"""When a warm-up goes on: after each step, or after each epoch."""
CountedFrom = Literal["start", "warmup"]
FEWEST_STEPS = 100
"""Of a whole run: in fewer, no network here has learned to tell people apart."""


def warmup_cosine(
    epoch: int,
    step: int,
    *,
    steps_per_epoch: int,
    epochs: int,
    learning_rate: float,
    final_learning_rate: float,
    warmup_every: Every,
    warmup_steps: int,
    warmup_factor: float,
) -> float:
    """Returns the learning rate of ``step`` of ``epoch``, both from 0.

    Linear warm-up from ``warmup_factor * learning_rate`` in ``warmup_steps``, one ``warmup_every`` step or epoch; once
    over, half a cosine from ``learning_rate`` to ``final_learning_rate``, stepped **per epoch**: its first step is
    taken at the end of the epoch in which the warm-up ended, its last before the last epoch.

    Source: fast-reid's ``WarmupLR`` and ``LRScheduler`` hook as MDPR runs them (KuilongCui/MDPR 89d9737,
    ``fastreid/engine/hooks.py``, ``fastreid/solver/build.py``). Differs: a warm-up longer than the training is an
    error there (T_max <= 0); here the learning rate then just stays in its warm-up.
    """
    done = epoch if warmup_every == "epoch" else epoch * steps_per_epoch + step
    if done < warmup_steps:
        return learning_rate * _warmup(done, warmup_steps, warmup_factor)
    warmup_epochs = _warmup_epochs(warmup_every, warmup_steps, steps_per_epoch)
    if epoch < warmup_epochs or epochs <= warmup_epochs:
        return learning_rate
    taken = _epochs_counted(epoch, warmup_epochs)
    remaining = (1 + math.cos(math.pi * taken / (epochs - warmup_epochs))) / 2
    return final_learning_rate + (learning_rate - final_learning_rate) * remaining


def warmup_milestones(
    epoch: int,
    step: int,
    *,
    steps_per_epoch: int,
    learning_rate: float,
    milestones: Sequence[int],
    factor: float,
    counted_from: CountedFrom,
    warmup_every: Every,
    warmup_steps: int,
    warmup_factor: float,
) -> float:
    """Returns the learning rate of ``step`` of ``epoch``, both from 0.

    Linear warm-up as in ``warmup_cosine``, times ``factor`` for every milestone that is reached: the number of epochs
    before a drop. They are counted from the start: torch's ``StepLR(20)``, stepped after each epoch, has the milestones
    20, 40, 60, ...; AGW's ``adjust_learning_rate`` (Cross-Modal-Re-ID-baseline e817a26) has nine warm-up steps, one an
    epoch, from a tenth on, then the milestones 20 and 50. Or from the epoch in which the warm-up ends, itself counted:
    fast-reid c9bc3ce, whose ``LRScheduler`` hook does not step before.
    """
    warmup_epochs = _warmup_epochs(warmup_every, warmup_steps, steps_per_epoch) if counted_from == "warmup" else 0
    reached = sum(_epochs_counted(epoch, warmup_epochs) >= milestone for milestone in milestones)
    done = epoch if warmup_every == "epoch" else epoch * steps_per_epoch + step
    return learning_rate * factor**reached * _warmup(done, warmup_steps, warmup_factor)


def too_short(
    *,
    epochs: int,
    steps_per_epoch: int,
    warmup_every: Every,
    warmup_steps: int,
    milestones: Sequence[int],
    counted_from: CountedFrom,
) -> Iterator[str]:
    """Yields a sentence for each way in which a run is too short: to learn in, for its warm-up, for its milestones."""
    steps = epochs * steps_per_epoch
    if steps < FEWEST_STEPS:
        yield (
            f"the whole run is {_counted(steps, 'step')}, too few to learn from: raise training.epochs, now {epochs}, "
            f"to {math.ceil(FEWEST_STEPS / steps_per_epoch)} or more, or give more images"
        )
    whole, unit = (epochs, "epoch") if warmup_every == "epoch" else (steps, "step")
    if 2 * warmup_steps > whole:
        yield (
            f"the warm-up takes {_counted(warmup_steps, unit)} and the whole run {whole}: set training.warmup_steps to "
            "fewer, or to a share of the run, as {share: 0.1}"
        )
    warmup_epochs = _warmup_epochs(warmup_every, warmup_steps, steps_per_epoch) if counted_from == "warmup" else 0
    last = _epochs_counted(epochs - 1, warmup_epochs)
    if never := [milestone for milestone in milestones if milestone > last]:
        yield (
            f"training.decay.milestones: {', '.join(map(str, never))} lie behind the end of the run, which reaches "
            f"those up to {last}: the learning rate does not fall there"
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _warmup_epochs(every: Every, steps: int, steps_per_epoch: int) -> int:
    """Returns the number of the epoch in which the warm-up ends, 0 without one."""
    return steps if every == "epoch" else math.ceil(steps / steps_per_epoch)


def _epochs_counted(epoch: int, warmup_epochs: int) -> int:
    """Returns how many epochs are over that count: all from the one on in which the warm-up ended."""
    return max(0, epoch - warmup_epochs + 1) if warmup_epochs else epoch


def _warmup(done: int, warmup_steps: int, warmup_factor: float) -> float:
    """Returns the share of the learning rate after ``done`` steps: 1 when the warm-up is over."""
    if done >= warmup_steps:
        return 1.0
    progress = done / warmup_steps
    return warmup_factor * (1 - progress) + progress
