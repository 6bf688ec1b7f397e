"""Every example of a method as an experiment on noise, trained by the entry point, on the CPU or on a GPU."""

import pytest
import torch

from pipeline.methods.registry import find
from pipeline.training.experiment import describe, run
from tests.methods.examples import examples
from tests.noise import changed

CPU = torch.device("cpu")
ADAM = {"kind": "adam"}
SGD = {"kind": "sgd", "momentum": 0.9, "head_factor": 10.0}
EPOCHS = 2
CHANGES = {
    "smmd": {"settings__self_mimic__first_epoch": 0, "settings__mutual__first_epoch": 1},
    "mdpr": {"settings__backbone__ibn": True},
}
"""All terms within two epochs, and instance normalisation."""

each_optimizer = pytest.mark.parametrize("optimizer", [ADAM, SGD], ids=["adam", "sgd"])
each_format = pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])


def block_of(name, teacher, *, optimizer=ADAM, precision="float32", **values):
    """Returns an example as a block of params.yaml; a student learns from the checkpoint in ``teacher``."""
    block = changed(
        examples()[name].block, training__optimizer=optimizer, training__precision=precision, training__epochs=EPOCHS,
        settings__batch__groups=2, **CHANGES.get(name, {}),
    )  # fmt: skip
    if block["settings"].get("student"):
        block = changed(block, settings__student__teacher=str(teacher))
    return changed(block, **values)


def job_of(block, data, runs):
    """Returns the job of a block."""
    return describe("small", block, find(block["method"]), data, runs)


def train(job, device):
    """Returns the epochs' metrics, but for the speed."""
    history = run(job, lambda metrics: None, device)
    return [{name: value for name, value in row.items() if name != "images_per_second"} for row in history]


def losses(history):
    """Returns the loss of each epoch."""
    return [row["loss"] for row in history]


def interrupt(job, device):
    """Trains until the last epoch is reported, and not saved."""

    def stop(metrics):
        if metrics["epoch"] == EPOCHS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(job, stop, device)
