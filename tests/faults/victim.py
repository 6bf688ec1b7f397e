"""A training to be killed: ``python -m tests.faults.victim RUN_FOLDER HEARTBEAT`` says all the time where it is."""

import sys
import time
from pathlib import Path

import torch

from pipeline.training import checkpoint
from tests.faults.heartbeat import Heartbeat
from tests.training.toy import Toy, make_trainer

EPOCHS = 6


def main(run_folder, heartbeat):
    """Trains slowly; each beat is ``epoch step|saving count``."""
    torch.set_num_threads(1)
    heart = Heartbeat(heartbeat)
    save_file = checkpoint.save_file

    def save_slowly(tensors, path):
        save_file(tensors, path)
        heart.beat("saving")
        time.sleep(0.2)

    checkpoint.save_file = save_slowly
    torch.manual_seed(0)
    method = heart.slowed(Toy)(num_classes=6, groups=2, seed=3)
    make_trainer(method=method, groups=2, epochs=EPOCHS, precision="float32", run_folder=run_folder).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
