import numpy as np
import pytest
import torch

from pipeline.training import checkpoint
from tests.fake_cuda import fake_cuda
from tests.fake_cuda.fake_cuda import CPU, GPU, TORCH
from tests.fake_cuda.trainings import ADAM, EPOCHS, SGD, block_of, job_of, train
from tests.methods.examples import each_example


def test_torch_is_the_version_that_the_pretended_device_was_read_in():
    assert torch.__version__.startswith(f"{TORCH}."), fake_cuda.__doc__


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("optimizer", [ADAM, SGD], ids=["adam", "sgd"])
@each_example()
def test_every_method_trains_with_every_optimizer_in_every_format(
    name, optimizer, precision, both_modalities, teacher, tmp_path
):
    block = block_of(name, teacher, optimizer=optimizer, precision=precision)
    job = job_of(block, both_modalities, tmp_path)
    history, _ = train(job, GPU)
    assert [row["epoch"] for row in history] == list(range(1, EPOCHS + 1))
    assert np.isfinite([row["loss"] for row in history]).all()
    meta = checkpoint.latest(job.run_folder).meta
    assert (meta["precision"], meta["device"]) == (precision, "cuda")


@each_example()
def test_losses_are_those_of_the_cpu(name, both_modalities, teacher, tmp_path):
    block = block_of(name, teacher, optimizer=SGD, precision="float64")
    ours, theirs = (train(job_of(block, both_modalities, tmp_path / str(at)), at)[0] for at in (GPU, CPU))
    assert [row["loss"] for row in ours] == pytest.approx([row["loss"] for row in theirs], rel=1e-6)
