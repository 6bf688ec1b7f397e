"""A training whose disk is full in its third epoch: ``python -m tests.faults.full_disk_victim FOLDER PLAIN_FOLDER``.

Prints as JSON what it met with, and how it went on once there was room again.
"""

import contextlib
import json
import os
import resource
import sys
from pathlib import Path

import torch

from pipeline.training import checkpoint
from tests.training.toy import make_trainer

EPOCHS = 4


def fill(folder):
    """Leaves no byte on a small disk; on one that is not small it stops this process from writing any."""
    if os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize > 2**24:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        return
    file = os.open(folder / "ballast", os.O_CREAT | os.O_WRONLY)
    for size in (4096, 1):
        with contextlib.suppress(OSError):
            while True:
                os.write(file, bytes(size))
    os.close(file)


def make_room(folder):
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    (folder / "ballast").unlink(missing_ok=True)


def train(run_folder, report=lambda metrics: None):
    make_trainer(epochs=EPOCHS, run_folder=run_folder, report=report).run()
    return checkpoint.latest(run_folder).meta["files"]


def main(run_folder, plain_folder):
    torch.set_num_threads(1)
    undisturbed = train(plain_folder)

    def report(metrics):
        if metrics["epoch"] == 3:
            fill(run_folder)

    try:
        train(run_folder, report)
    except checkpoint.CheckpointError as error:
        met = {"error": str(error), "kept": sorted(file.name for file in run_folder.glob("*epoch*"))}
    make_room(run_folder)
    kept = checkpoint.latest(run_folder).meta["epoch"]
    again = train(run_folder)
    same = [again[name] == undisturbed[name] for name in (checkpoint.MODEL, checkpoint.METHOD)]
    print(json.dumps({**met, "epoch": kept, "same": all(same)}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
