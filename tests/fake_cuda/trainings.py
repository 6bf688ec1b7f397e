"""Every example of a method as an experiment on noise, trained by the entry point on the CPU or the pretended GPU."""

from contextlib import nullcontext

from pipeline.methods.registry import find
from pipeline.training.experiment import describe, run
from tests.fake_cuda.fake_cuda import CPU, pretended
from tests.methods.examples import examples
from tests.noise import changed

ADAM = {"kind": "adam"}
SGD = {"kind": "sgd", "momentum": 0.9, "head_factor": 10.0}
EPOCHS = 2
CHANGES = {
    "smmd": {"settings__self_mimic__first_epoch": 0, "settings__mutual__first_epoch": 1},
    "mdpr": {"settings__backbone__ibn": True},
}
"""All terms within two epochs, and instance normalisation."""


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


def train(job, device, report=lambda metrics: None):
    """Returns the epochs' metrics, but for the speed, and what was asked of the device."""
    with nullcontext() if device is CPU else pretended() as log:
        history = run(job, report, device)
    return [{name: value for name, value in row.items() if name != "images_per_second"} for row in history], log
