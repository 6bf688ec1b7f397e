"""A training that is interrupted on one device and goes on with another."""

import pytest

from pipeline.training.checkpoint import CheckpointError
from tests.fake_cuda.fake_cuda import CPU, GPU, pretended
from tests.fake_cuda.trainings import block_of, each_optimizer, interrupt, job_of, losses, train
from tests.methods.examples import each_example

DIRECTIONS = [(CPU, CPU), (CPU, GPU), (GPU, CPU), (GPU, GPU)]


@each_optimizer
@each_example(variants=False)
def test_losses_are_the_same_whichever_device_goes_on(name, optimizer, both_modalities, teacher, tmp_path):
    block = block_of(name, teacher, optimizer=optimizer, precision="float64", training__learning_rate=1e-4)
    expected = losses(train(job_of(block, both_modalities, tmp_path / "straight"), CPU))
    for begun, gone_on in DIRECTIONS:
        job = job_of(block, both_modalities, tmp_path / f"{begun}-{gone_on}")
        with pretended():
            interrupt(job, begun)
            found = losses(train(job, gone_on))
        assert found == (expected if (begun, gone_on) == (CPU, CPU) else pytest.approx(expected, rel=1e-6))


def test_a_device_that_would_go_on_in_another_format_is_refused_in_words(both_modalities, tmp_path):
    job = job_of(block_of("baseline", None, precision="auto"), both_modalities, tmp_path)
    interrupt(job, CPU)
    with pretended(), pytest.raises(CheckpointError, match="was trained in float32, and this device would go on in"):
        train(job, GPU)
