import pytest
import torch

from pipeline.config import parse
from pipeline.training.method import Method, MethodParams, StepOutput
from tests.training.toy import Toy, make_data


def test_a_method_must_say_how_it_draws_steps_and_embeds():
    assert {"batches", "run_network", "find_loss", "embedder"} == Method.__abstractmethods__


def test_what_a_method_leaves_out_changes_nothing():
    class Plain(Toy):
        begin_epoch = Method.begin_epoch
        after_step = Method.after_step

    method, (_, labels) = Plain(num_classes=6, groups=1, seed=0), make_data()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    assert method.begin_epoch(0, lambda: pytest.fail("nothing is to be embedded"), labels) is labels
    method.after_step(torch.zeros(4), {})
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_a_method_whose_authors_published_no_weights_says_so():
    with pytest.raises(ValueError, match="Toy: there are no authors' weights to read; leave out --authors"):
        Toy.from_authors({})


def test_steps_do_not_share_what_they_share():
    first, second = (StepOutput(torch.zeros(()), {}) for _ in range(2))
    first.shared["logits"] = torch.ones(1)
    assert second.shared == {}


def test_every_methods_block_has_a_batch():
    with pytest.raises(ValueError, match=r"settings\.batch: missing"):
        parse(MethodParams, {}, "settings")
