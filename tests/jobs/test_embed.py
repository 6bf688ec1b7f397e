import numpy as np
import pytest

from pipeline.images.store import ImageStore
from pipeline.jobs.embed import embed_over_ray, rows_of
from pipeline.jobs.resources import ResourcesParams
from pipeline.jobs.train import train
from pipeline.methods.baseline.method import Baseline
from pipeline.scoring import evaluate
from pipeline.scoring.comparison import EvaluationParams
from pipeline.scoring.embedding import embed_rows
from pipeline.tracking.metrics import MetricsWriter
from pipeline.training.checkpoint import open_checkpoint
from pipeline.training.experiment import describe, publish
from pipeline.training.step import PLAIN
from tests.noise import BASELINE, EVALUATION, changed


@pytest.fixture(scope="module")
def checkpoint(noise, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    job = describe("small", changed(BASELINE, training__epochs=1), Baseline, noise, folder / "runs")
    history = train(job, ResourcesParams(workers=0, cpus_per_worker=1, retries=0, **dict(PLAIN)), MetricsWriter(None))
    publish(job, folder / "small", history, None)
    return folder / "small"


@pytest.mark.parametrize("flip", [False, True])
def test_all_workers_embed_what_one_process_does_in_every_bit(ray, noise, checkpoint, flip):
    store = ImageStore(noise)
    params = EvaluationParams(**EVALUATION | {"flip": flip, "batch": 4})
    rows, steps = evaluate.test_rows(store), []
    model = evaluate.model_from(open_checkpoint(checkpoint), Baseline, store)
    expected = embed_rows(model.embedder, store, rows, batch=params.batch, flip=params.flip)
    found = embed_over_ray(
        checkpoint, noise, rows, batch_size=4, flip=flip, batches_at_once=2, progress=lambda *step: steps.append(step)
    )
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    assert steps == [(min(8 * place, len(rows)), len(rows)) for place in range(1, -(-len(rows) // 8) + 1)]
    assert len(steps) > 2  # more shares than workers


def test_rows_are_those_of_a_split_or_all(noise):
    store = ImageStore(noise)
    assert rows_of(store, "all").tolist() == list(range(64))
    assert sorted([*rows_of(store, "train"), *rows_of(store, "test")]) == list(range(64))
    np.testing.assert_array_equal(rows_of(store, "test"), evaluate.test_rows(store))


def test_rows_and_checkpoint_are_checked_before_a_worker_starts(noise, checkpoint, tmp_path):
    for rows in ([], [64], [-1]):
        with pytest.raises(ValueError, match="rows: expected at least one, each from 0 to 63"):
            embed_over_ray(checkpoint, noise, np.array(rows, dtype=np.int64), batch_size=4, flip=False)
    with pytest.raises(ValueError, match=r"no readable meta\.json"):
        embed_over_ray(tmp_path, noise, np.arange(3), batch_size=4, flip=False)
