"""Several groups in one pass of the network compute what they compute one after the other."""

import pytest
import torch

from pipeline.backbones.resnet import recompute_blocks
from pipeline.training import groups
from tests.distributed.test_worker_invariance import toy
from tests.methods.examples import each_example, examples
from tests.training.toy import make_trainer


def train(name, at_once, *, recompute=False):
    """At least 12 steps of four groups, in float64; SMMD's terms have all begun by then."""
    method = examples()[name].build()
    if recompute:
        recompute_blocks(method.network)
    trainer = make_trainer(method=method, epochs=12, groups_at_once=at_once)
    return [row["loss"] for row in trainer.run()], trainer.method.state_dict()


def are_alike(found, expected):
    (losses, state), (usual_losses, usual) = found, expected
    values = all(torch.allclose(value, usual[name], rtol=1e-6, atol=1e-9) for name, value in state.items())
    return values and losses == pytest.approx(usual_losses, rel=1e-6)


@each_example()
def test_any_number_of_groups_at_once_is_the_same_training(name):
    in_turn = train(name, 1)
    assert are_alike(train(name, 3), in_turn)  # three groups and then one
    assert are_alike(train(name, 9), in_turn)


def test_blocks_that_run_again_keep_the_groups_apart_too():
    assert are_alike(train("agw", 4, recompute=True), train("agw", 1))


def test_one_pass_with_statistics_of_all_its_groups_would_be_another_training(monkeypatch):
    in_turn = train("baseline", 1)
    monkeypatch.setattr(groups, "_normalise_apart", lambda layer, groups, maps: type(layer).forward(layer, maps))
    assert not are_alike(train("baseline", 4), in_turn)


def test_a_network_that_draws_random_numbers_runs_its_groups_in_turn():
    with pytest.raises(ValueError, match=r"^groups_at_once: expected 1, as network\.5 draws random numbers group by"):
        make_trainer(method=toy(), groups_at_once=2)
