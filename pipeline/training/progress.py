"""What a person sees of a running training."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from pipeline.progress import duration


class Progress:
    """Prints a line per epoch, and within long epochs one every few seconds; silent on all workers but the first."""

    def __init__(
        self, name: str, *, epochs: int, epochs_done: int, visible: bool, seconds: float = 15.0,
        stream: TextIO | None = None,
    ) -> None:  # fmt: skip
        self.name, self.epochs, self.visible, self.seconds = name, epochs, visible, seconds
        self.stream = stream or sys.stderr
        self.started = self.epoch_started = self.printed = time.monotonic()
        self.first = epochs_done

    def begin_epoch(self) -> None:
        """Starts the clock of an epoch."""
        self.epoch_started = time.monotonic()

    def step(self, epoch: int, step: int, steps: int, images: int) -> None:
        """Notes that ``step`` (from 1) of ``steps`` is done, ``images`` images into the epoch."""
        now = time.monotonic()
        if now - self.printed >= self.seconds and step < steps:
            speed = images / (now - self.epoch_started)
            share = (epoch - self.first + step / steps) / (self.epochs - self.first)
            self._print(f"step {step}/{steps}", epoch, speed, share, "")

    def end_epoch(self, epoch: int, images: int, metrics: dict[str, float]) -> float:
        """Prints the epoch's line and returns its speed in images/s."""
        speed = images / max(time.monotonic() - self.epoch_started, 1e-9)
        terms = [name for name in metrics if name not in ("loss", "gradient_norm", "skipped_steps")]
        largest = sorted(terms, key=lambda name: -abs(metrics[name]))[:4]
        parts = "  ".join(f"{name} {metrics[name]:.3f}" for name in sorted(largest))
        share = (epoch + 1 - self.first) / (self.epochs - self.first)
        self._print(f"loss {metrics['loss']:.4f}", epoch, speed, share, f" ({parts})" if parts else "")
        return speed

    def say(self, line: str) -> None:
        """Prints a line."""
        if self.visible:
            print(f"{self.name}: {line}", file=self.stream, flush=True)

    def _print(self, what: str, epoch: int, speed: float, share: float, rest: str) -> None:
        self.printed = time.monotonic()
        left = (self.printed - self.started) * (1 - share) / share
        self.say(f"epoch {epoch + 1}/{self.epochs}  {what}{rest}  {speed:.0f} images/s  {duration(left)} left")
