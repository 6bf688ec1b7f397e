"""What a step asks of a GPU: how often the host waits, what it copies, which convolutions turn their input round."""

from collections import Counter
from unittest import mock

import pytest

from pipeline.batches.loading import Loader
from pipeline.training.loop import Trainer
from tests.fake_cuda import fake_cuda
from tests.fake_cuda.fake_cuda import GPU, pretended
from tests.fake_cuda.trainings import SGD, block_of, each_format, job_of, train
from tests.methods.examples import each_example
from tests.noise import write_store


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """A packed store whose last maps have columns: of maps of one pixel nobody can tell how they lie."""
    with mock.patch.multiple("tests.noise", HEIGHT=64, WIDTH=32):
        return write_store(tmp_path_factory.mktemp("prepared") / "larger", infrared=(2,))


def counted(monkeypatch, owner, name):
    """Returns the list to which each call of a method adds what it asked of the device."""
    usual, calls = getattr(owner, name), []

    def call(*args, **kwargs):
        before = [Counter(counts) for counts in (fake_cuda.log.waits, fake_cuda.log.copies, fake_cuda.log.relayouts)]
        found = usual(*args, **kwargs)
        after = (fake_cuda.log.waits, fake_cuda.log.copies, fake_cuda.log.relayouts)
        calls.append([now - then for now, then in zip(after, before, strict=True)])
        return found

    monkeypatch.setattr(owner, name, call)
    return calls


@each_format
@each_example()
def test_a_step_waits_once_and_turns_nothing_round_and_a_group_takes_two_copies(
    name, precision, larger, teacher, tmp_path, monkeypatch
):
    block = block_of(name, teacher, optimizer=SGD, precision=precision)
    patch = {"probability": 0.5, "area": [0.01, 0.5], "aspect": [0.1, 10.0], "flip": 0.5}
    jitter = {"probability": 0.5, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1}
    block["augmentation"] |= {"jitter": jitter, "single_channel": 0.1, "grayscale": 0.1, "patch": patch}
    loads, steps = counted(monkeypatch, Loader, "load"), counted(monkeypatch, Trainer, "_step")
    with pretended():
        train(job_of(block, larger, tmp_path), GPU)
    for waits, copies, relayouts in steps:
        assert waits.total() <= 1, waits
        assert copies.total() <= 1, copies
        assert not relayouts
    for waits, copies, _ in loads[1:]:  # the first sends what stays there: the mean colour, and the like
        assert not waits
        assert copies.total() <= 2, copies
    assert len(loads) == 2 * len(steps) > 2
