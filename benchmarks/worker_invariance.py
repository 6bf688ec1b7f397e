"""How far trainings with 2 and 4 workers are from the same one with 1: ``python benchmarks/worker_invariance.py``.

The trainings are those of ``tests/distributed/test_worker_invariance.py``: every method with all its switches on, a
tiny network, four groups a step, gloo processes of one thread on this machine. A difference is the largest of any
epoch's loss, or of any weight and buffer, relative to the largest entry of its tensor.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.multiprocessing as spawn

PRECISIONS = ("float64", "float32")
SIZES = (2, 4)

sys.path.insert(0, str(Path(__file__).parents[1]))
trainings: Any = importlib.import_module("tests.distributed.test_worker_invariance")
METHODS = [name for name, example in trainings.examples().items() if not example.is_variant]


def main() -> None:
    with TemporaryDirectory() as folder:
        for size in (1, *SIZES):
            spawn.spawn(train_all, (size, Path(folder)), nprocs=size)
        print(f"After {trainings.EPOCHS} epochs of at least one step:\n")
        print("| method | workers | float64: losses | weights | float32: losses | weights |")
        print("|---|---|---|---|---|---|")
        for method in METHODS:
            for size in SIZES:
                found = [
                    difference
                    for precision in PRECISIONS
                    for difference in trainings.differences(
                        *(torch.load(place(Path(folder), method, precision, count) / "run") for count in (size, 1))
                    )
                ]
                print(f"| {method} | {size} | " + " | ".join(f"{value:.0e}" for value in found) + " |")


def train_all(rank: int, size: int, folder: Path) -> None:
    """Trains every method in every precision as one of ``size`` workers."""
    for method in METHODS:
        for precision in PRECISIONS:
            here = place(folder, method, precision, size)
            here.mkdir(parents=True, exist_ok=True)
            trainings.train_as(rank, size, here, trainings.BUILDERS[method], precision)


def place(folder: Path, method: str, precision: str, size: int) -> Path:
    """Returns where a training leaves its losses and state."""
    return folder / f"{method}-{precision}-{size}"


if __name__ == "__main__":
    main()
