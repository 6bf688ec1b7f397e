"""What only a CUDA device can show; run by ``pytest -m gpu`` on a machine that has one."""

import numpy as np
import pytest
import torch

from pipeline.batches.loading import Loader
from pipeline.training.embed import embed
from pipeline.training.step import PLAIN, prepared
from pipeline.training.workers import Workers
from tests.fake_cuda.trainings import block_of, each_format, each_optimizer, interrupt, job_of, losses, train
from tests.methods.examples import each_example, examples
from tests.training.toy import CPU, Toy, make_data, make_trainer

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
GPU = torch.device("cuda")


@each_format
@each_optimizer
@each_example()
def test_every_method_trains_with_every_optimizer_in_every_format(
    name, optimizer, precision, both_modalities, teacher, tmp_path
):
    job = job_of(block_of(name, teacher, optimizer=optimizer, precision=precision), both_modalities, tmp_path)
    found = train(job, GPU)
    assert np.isfinite(losses(found)).all()
    assert train(job, GPU) == found  # which is finished


@pytest.mark.parametrize(("begun", "gone_on"), [(CPU, GPU), (GPU, CPU), (GPU, GPU)], ids=str)
@each_optimizer
@each_example(variants=False)
def test_losses_are_the_same_whichever_device_goes_on(
    name, optimizer, begun, gone_on, both_modalities, teacher, tmp_path
):
    block = block_of(name, teacher, optimizer=optimizer, precision="float64", training__learning_rate=1e-4)
    expected = losses(train(job_of(block, both_modalities, tmp_path / "straight"), CPU))
    job = job_of(block, both_modalities, tmp_path / "interrupted")
    interrupt(job, begun)
    assert losses(train(job, gone_on)) == pytest.approx(expected, rel=1e-6)


@each_format
def test_training_lowers_the_loss_and_resumes(precision, tmp_path):
    def go_on(epochs):
        method = Toy(num_classes=6, groups=2, seed=3).to(GPU)
        trainer = make_trainer(
            method=method,
            groups=2,
            epochs=epochs,
            precision=precision,
            run_folder=tmp_path,
            learning_rate=1e-2,
            device=GPU,
        )
        return trainer.run()

    go_on(4)
    history = go_on(8)
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert history[-1]["identity"] < history[0]["identity"]


def test_embeddings_are_those_of_the_cpu():
    images, _ = make_data()
    embedder = Toy(num_classes=6, groups=1, seed=0).embedder()
    both = []
    for device in (CPU, GPU):
        loader = Loader(images, np.ones(48), np.zeros(48), None, device, torch.float32)
        both.append(embed(embedder.to(device), loader, np.arange(48), batch_size=16, workers=Workers(0, 1)))
    torch.testing.assert_close(both[0], both[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", [{"groups_at_once": 4}, {"recompute": True}, {"compile": True}])
def test_a_step_computes_the_same_in_every_way(how):
    def loss_by(step):
        method = examples()["baseline"].build().to(GPU)
        with prepared(method, step, GPU, print):
            trainer = make_trainer(
                method=method, epochs=1, precision="float32", device=GPU, groups_at_once=step.groups_at_once
            )
            return trainer.run()[0]["loss"]

    assert loss_by(PLAIN.model_copy(update=how)) == pytest.approx(loss_by(PLAIN), rel=1e-3)
