import numpy as np
import pytest
import torch

from pipeline.training import checkpoint
from tests.fake_cuda import fake_cuda
from tests.fake_cuda.fake_cuda import CPU, GPU, TORCH, pretended
from tests.fake_cuda.trainings import EPOCHS, SGD, block_of, each_format, each_optimizer, job_of, losses, train
from tests.methods.examples import each_example


def test_torch_is_the_version_that_the_pretended_device_was_read_in():
    assert torch.__version__.startswith(f"{TORCH}."), fake_cuda.__doc__


@each_format
@each_optimizer
@each_example()
def test_every_method_trains_with_every_optimizer_in_every_format(
    name, optimizer, precision, both_modalities, teacher, tmp_path
):
    block = block_of(name, teacher, optimizer=optimizer, precision=precision)
    job = job_of(block, both_modalities, tmp_path)
    with pretended():
        found = losses(train(job, GPU))
    assert len(found) == EPOCHS
    assert np.isfinite(found).all()
    meta = checkpoint.latest(job.run_folder).meta
    assert (meta["precision"], meta["device"]) == (precision, "cuda")


@each_example()
def test_losses_are_those_of_the_cpu(name, both_modalities, teacher, tmp_path):
    block = block_of(name, teacher, optimizer=SGD, precision="float64")
    with pretended():
        ours, theirs = (losses(train(job_of(block, both_modalities, tmp_path / str(at)), at)) for at in (GPU, CPU))
    assert ours == pytest.approx(theirs, rel=1e-6)
