"""Methods that go wrong once, in one of two Ray workers, in the middle of the second epoch; one to be struck, and one
that works as long as its blocks are recomputed.
"""

import os
import signal
import time
from pathlib import Path

import psutil

from pipeline.backbones.resnet import Block
from pipeline.methods.baseline.method import Baseline, BaselineParams
from pipeline.training.workers import Workers

STEPS = 4  # of an epoch of tests/noise.py, one group of a step for each of two workers


class VictimParams(BaselineParams):
    """``struck`` is a file that is there once something has gone wrong."""

    struck: str


class Victim(Baseline):
    """A baseline whose second worker is struck before its sixth group."""

    params_type = VictimParams

    def __init__(self, params, **sizes):
        super().__init__(params, **sizes)
        self.struck, self.seen = Path(params.struck), 0

    def forward(self, batch):
        self.seen += 1
        if Workers.current().rank == 1 and self.seen == STEPS + 2 and not self.struck.exists():
            self.struck.write_text(str(os.getpid()))
            self.strike()
        return super().forward(batch)

    def strike(self):
        raise NotImplementedError


class Killed(Victim):
    def strike(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Mistaken(Victim):
    def strike(self):
        raise ValueError("the second worker met a wrong image")


class Stranded(Victim):
    """A baseline that takes the machine of one of its workers with it, ``struck`` in the middle of the second epoch.

    The file beside ``struck`` with the ending ``.raylet`` names the process of Ray that stands for that machine.
    """

    def forward(self, batch):
        self.seen += 1
        machine = int(self.struck.with_suffix(".raylet").read_text())
        if self.seen == STEPS + 2 and machine in {parent.pid for parent in psutil.Process().parents()}:
            self.struck.write_text(str(os.getpid()))
            os.kill(machine, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        return Baseline.forward(self, batch)


class SlowParams(BaselineParams):
    """``beats`` is a file that says where training is: epoch and group, from 0 and 1.

    Where the file beside it with the ending ``.hold`` says so too, training waits until that is gone.
    """

    beats: str


class Slow(Baseline):
    """A baseline that can be held in any group, so that there is time to strike its processes from outside."""

    params_type = SlowParams

    def __init__(self, params, **sizes):
        super().__init__(params, **sizes)
        self.beats, self.place = Path(params.beats), (0, 0)

    def enter_epoch(self, epoch):
        self.place = (epoch, 0)

    def forward(self, batch):
        self.place = (self.place[0], self.place[1] + 1)
        if Workers.current().is_first:
            unseen, hold = self.beats.with_suffix(".new"), self.beats.with_suffix(".hold")
            unseen.write_text("{} {}".format(*self.place))
            unseen.rename(self.beats)
            while hold.exists() and hold.read_text() == self.beats.read_text():
                time.sleep(0.1)
        return super().forward(batch)


class Recomputed(Baseline):
    """A baseline whose blocks must run again in the backward pass."""

    def forward(self, batch):
        kept = [name for name, part in self.network.named_modules() if isinstance(part, Block) and not part.recomputes]
        if kept:
            raise ValueError(f"not recomputed: {', '.join(kept)}")
        return super().forward(batch)


class Together(Baseline):
    """A baseline that must see both its groups in one pass."""

    def run_network(self, batch):
        if len(batch.images) != 2 * self.batch.identities * self.batch.images:
            raise ValueError(f"{len(batch.images)} images are not two groups")
        return super().run_network(batch)
