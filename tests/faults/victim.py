"""A training to be killed: ``python -m tests.faults.victim RUN_FOLDER HEARTBEAT`` says all the time where it is."""

import os
import sys
import time
from pathlib import Path

import torch

from pipeline.training import checkpoint
from tests.training.toy import Toy, make_trainer

EPOCHS = 6


def main(run_folder, heartbeat):
    """Trains slowly; each beat is ``epoch step|saving count``."""
    torch.set_num_threads(1)
    file = os.open(heartbeat, os.O_CREAT | os.O_WRONLY)
    place = {"epoch": 0, "count": 0}

    def beat(what):
        place["count"] += 1
        os.pwrite(file, f"{place['epoch']} {what} {place['count']}".ljust(40).encode(), 0)

    class Victim(Toy):
        def begin_epoch(self, epoch, embed_all, labels):
            place.update(epoch=epoch, count=0)
            return super().begin_epoch(epoch, embed_all, labels)

        def forward(self, batch):
            beat("step")
            time.sleep(0.02)
            return super().forward(batch)

    save_file = checkpoint.save_file

    def save_slowly(tensors, path):
        save_file(tensors, path)
        beat("saving")
        time.sleep(0.2)

    checkpoint.save_file = save_slowly
    torch.manual_seed(0)
    method = Victim(num_classes=6, groups=2, seed=3)
    make_trainer(method=method, groups=2, epochs=EPOCHS, precision="float32", run_folder=run_folder).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
