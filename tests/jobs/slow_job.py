"""A training to be killed or stopped: ``python -m tests.jobs.slow_job WORKERS RUNS DATA BEATS``."""

import signal
import sys
from pathlib import Path

from pipeline.jobs.resources import ResourcesParams
from pipeline.jobs.train import train
from pipeline.tracking.metrics import MetricsWriter
from pipeline.training.experiment import describe
from pipeline.training.step import PLAIN
from stages.cli_errors import exit_on_user_error
from tests.jobs.victims import Slow
from tests.noise import BASELINE, changed

EPOCHS = 4


def describe_job(runs, data, beats):
    block = changed(BASELINE, training__epochs=EPOCHS, training__precision="float32", settings__beats=str(beats))
    return describe("slow", block, Slow, data, runs)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else tests run in the background would pass on deafness
    with exit_on_user_error():
        resources = ResourcesParams(workers=int(sys.argv[1]), cpus_per_worker=1, retries=0, **dict(PLAIN))
        train(describe_job(*map(Path, sys.argv[2:])), resources, MetricsWriter(None))
