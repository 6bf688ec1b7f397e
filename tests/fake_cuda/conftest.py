import pytest
import torch

from pipeline.training.experiment import publish
from tests.fake_cuda.fake_cuda import CPU
from tests.fake_cuda.trainings import block_of, job_of, train
from tests.noise import write_store


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # two wait for each other on a busy machine, for minutes
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def both_modalities(tmp_path_factory):
    """The folder of a packed store of noise, half of it infrared."""
    return write_store(tmp_path_factory.mktemp("prepared") / "both", infrared=(2,))


@pytest.fixture(scope="session")
def teacher(both_modalities, tmp_path_factory):
    """The folder of a finished teacher."""
    folder = tmp_path_factory.mktemp("teacher")
    job = job_of(block_of("teacher", None, training__epochs=1), both_modalities, folder / "runs")
    publish(job, folder / "published", train(job, CPU)[0], None)
    return folder / "published"
