import os

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # networks are tiny here, and on busy cores more threads wait for one another
os.environ["REID_TRACKING"] = "off"
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_DASHBOARD_STARTUP_TIMEOUT_S", "300")  # where cores are busy
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DVC_NO_ANALYTICS", "1")


@pytest.fixture(scope="session")
def noise(tmp_path_factory):
    """The folder of a packed store of 74 noise images (tests/noise.py); not to be written to."""
    from tests.noise import write_store

    return write_store(tmp_path_factory.mktemp("prepared") / "noise")


@pytest.fixture(scope="session")
def both_modalities(tmp_path_factory):
    """The folder of a packed store of noise, half of it infrared."""
    from tests.noise import write_store

    return write_store(tmp_path_factory.mktemp("prepared") / "both", infrared=(2,))


@pytest.fixture(scope="session")
def teacher(both_modalities, tmp_path_factory):
    """The folder of a finished teacher, for students of ``tests/fake_cuda/trainings.py``."""
    from pipeline.training.experiment import publish
    from tests.fake_cuda.trainings import CPU, block_of, job_of, train

    folder = tmp_path_factory.mktemp("teacher")
    job = job_of(block_of("teacher", None, training__epochs=1), both_modalities, folder / "runs")
    publish(job, folder / "published", train(job, CPU), None)
    return folder / "published"


@pytest.fixture(scope="session")
def golden():
    """Losses and gradients of public reference code."""
    from tests.golden_losses import Golden

    return Golden()
