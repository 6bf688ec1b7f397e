import pytest
import torch

from pipeline.backbones.resnet import Block, recompute_blocks
from pipeline.methods.mskd.method import MSKD
from pipeline.methods.smmd.method import TwoStream, TwoStreamParams
from tests.distributed.test_worker_invariance import baseline, mdpr, smmd, student
from tests.training.toy import IS_INFRARED, make_trainer


def teacher():
    """The student's settings without a teacher of its own."""
    settings = student().params.model_copy(update={"student": None})
    method = MSKD(settings, num_classes=1, height=32, width=16, seed=3)
    method.begin_training(IS_INFRARED.astype(int), IS_INFRARED, {})
    return method


def agw():
    settings = {name: getattr(smmd().params, name) for name in TwoStreamParams.model_fields}
    method = TwoStream(TwoStreamParams(**settings), num_classes=6, height=32, width=16, seed=3)
    method.begin_training(IS_INFRARED.astype(int), IS_INFRARED, {})
    return method


def train(build, precision, *, recompute):
    """Three epochs of at least a step of four groups each; a learning rate at which statistics matter."""
    method = build()
    if recompute:
        recompute_blocks(method.network)
    trainer = make_trainer(method=method, epochs=3, precision=precision)
    losses = [{name: row[name] for name in row if name != "images_per_second"} for row in trainer.run()]
    return losses, trainer


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("build", [baseline, mdpr, teacher, student, agw, smmd])
def test_recomputation_changes_no_bit_of_losses_weights_or_buffers(build, precision):
    losses, kept = train(build, precision, recompute=False)
    losses_again, again = train(build, precision, recompute=True)
    assert losses_again == losses
    state = kept.method.state_dict()
    assert state.keys() == again.method.state_dict().keys()
    for name, value in again.method.state_dict().items():
        assert torch.equal(value, state[name]), name


@pytest.mark.parametrize("build", [mdpr, student, agw])
def test_all_that_is_trained_recomputes_and_nothing_else(build):
    method = build()
    recompute_blocks(method.network)
    blocks = {part for part in method.modules() if isinstance(part, Block)}
    trained = {part for part in method.network.modules() if isinstance(part, Block)}
    assert {part for part in blocks if part.recomputes} == trained
    assert len(trained) == (12 if build is mdpr else 8)
