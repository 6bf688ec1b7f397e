"""What only a CUDA device can show; run by ``pytest -m gpu`` on a machine that has one."""

import numpy as np
import pytest
import torch

from pipeline.batches.loading import Loader
from pipeline.training.embed import embed
from pipeline.training.step import PLAIN, prepared
from pipeline.training.workers import Workers
from tests.methods.examples import examples
from tests.training.toy import CPU, Toy, make_data, make_trainer

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
GPU = torch.device("cuda")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_training_lowers_the_loss_and_resumes(precision, tmp_path):
    def train(epochs):
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

    train(4)
    history = train(8)
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
    def train(step):
        method = examples()["baseline"].build().to(GPU)
        trainer = make_trainer(
            method=method, epochs=1, precision="float32", device=GPU, groups_at_once=step.groups_at_once
        )
        with prepared(method, step, GPU, print):
            return trainer.run()[0]["loss"]

    assert train(PLAIN.model_copy(update=how)) == pytest.approx(train(PLAIN), rel=1e-3)
