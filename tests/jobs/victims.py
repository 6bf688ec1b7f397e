"""Methods that go wrong once, in one of two Ray workers, in the middle of the second epoch."""

import os
import signal
from pathlib import Path

from pipeline.methods.baseline import Baseline, BaselineParams
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
