import re

import pytest
import torch

from pipeline.config import parse
from pipeline.training import step
from pipeline.training.step import PLAIN, StepParams, networks, prepared
from tests.methods.examples import each_example, examples
from tests.training.toy import make_trainer

CPU = torch.device("cpu")
COMPILED = PLAIN.model_copy(update={"compile": True})


def train(how, said):
    method = examples()["baseline"].build()
    with prepared(method, how, CPU, said.append):
        trainer = make_trainer(method=method, epochs=3, groups_at_once=how.groups_at_once)
        return [row["loss"] for row in trainer.run()]


def test_without_a_compiler_networks_run_as_they_are_and_it_is_said(monkeypatch):
    def fail(function):
        raise RuntimeError("no working C++ compiler found\nsee above")

    monkeypatch.setattr(torch, "compile", fail)
    said = []
    assert train(COMPILED, said) == train(PLAIN, [])
    assert said == ["not compiled, as torch.compile does not work here: no working C++ compiler found"]


@pytest.mark.slow
def test_a_compiled_network_is_trained_to_the_same_losses_and_each_form_of_pass_is_compiled_once():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    said = []
    found = train(COMPILED.model_copy(update={"groups_at_once": 2}), said)
    assert found == pytest.approx(train(PLAIN, []), rel=1e-6)
    assert re.match("compiling: ", said[0])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 3  # the probe, groups 0 and 1, groups 2 and 3


@pytest.mark.slow
def test_what_can_not_be_compiled_though_a_compiler_is_there_runs_as_it_is(monkeypatch):
    torch._dynamo.reset()
    monkeypatch.setattr(step, "_find_obstacle", lambda device: "")
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, "/nowhere"))
    assert train(COMPILED, []) == train(PLAIN, [])


def test_the_teacher_is_a_network_too():
    method = examples()["student"].build()
    assert networks(method) == [method.network, method.teacher]


def test_recomputed_blocks_are_not_to_be_compiled():
    with pytest.raises(ValueError, match="compile: expected false with recompute"):
        parse(StepParams, {"recompute": True, "compile": True, "groups_at_once": 1}, "resources.mdpr")


@each_example(variants=False)
def test_networks_with_their_channels_last_are_trained_and_saved_alike(name, tmp_path):
    def run(folder, layout):
        build = examples()[name].build
        method = build().to(memory_format=layout)
        trainer = make_trainer(method=method, epochs=3, run_folder=folder)
        losses = [row["loss"] for row in trainer.run()]
        again = make_trainer(method=build().to(memory_format=layout), epochs=4, run_folder=folder)
        return losses + [row["loss"] for row in again.run()][3:]

    usual, last = (run(tmp_path / str(layout), layout) for layout in (torch.contiguous_format, torch.channels_last))
    assert last == pytest.approx(usual, rel=1e-6)
