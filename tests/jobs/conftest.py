from pathlib import Path

import psutil
import pytest

from pipeline.jobs.resources import ResourcesParams, connected
from pipeline.training.step import PLAIN


@pytest.fixture(scope="module")
def ray():
    """A local Ray instance for all jobs of a file, gone afterwards with all that it started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        before = psutil.Process().children(recursive=True)
        with connected(ResourcesParams(workers=2, cpus_per_worker=1, retries=0, **dict(PLAIN)), groups=2):
            started = [process for process in psutil.Process().children(recursive=True) if process not in before]
            yield
    _, alive = psutil.wait_procs(started, timeout=90)  # Ray's agents take a while to notice
    assert alive == []
