import pytest
import torch

from pipeline.backbones.resnet import Block, recompute_blocks
from tests.methods.examples import each_example, examples
from tests.training.toy import make_trainer


def train(name, precision, *, recompute):
    """Three epochs of at least a step of four groups each; a learning rate at which statistics matter."""
    method = examples()[name].build()
    if recompute:
        recompute_blocks(method.network)
    trainer = make_trainer(method=method, epochs=3, precision=precision)
    losses = [{name: row[name] for name in row if name != "images_per_second"} for row in trainer.run()]
    return losses, trainer


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@each_example()
def test_recomputation_changes_no_bit_of_losses_weights_or_buffers(name, precision):
    losses, kept = train(name, precision, recompute=False)
    losses_again, again = train(name, precision, recompute=True)
    assert losses_again == losses
    state = kept.method.state_dict()
    assert state.keys() == again.method.state_dict().keys()
    for key, value in again.method.state_dict().items():
        assert torch.equal(value, state[key]), key


@each_example()
def test_all_that_is_trained_recomputes_and_nothing_else(name):
    method = examples()[name].build()
    recompute_blocks(method.network)
    blocks = {part for part in method.modules() if isinstance(part, Block)}
    trained = {part for part in method.network.modules() if isinstance(part, Block)}
    assert {part for part in blocks if part.recomputes} == trained
    assert len(trained) == (12 if name == "mdpr" else 8), "of a ResNet-18; MDPR has its last stage three times"
