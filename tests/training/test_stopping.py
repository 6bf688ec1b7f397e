"""A training that is asked to stop saves within the epoch, and goes on bit for bit as if it had not been asked."""

import os
import signal

import pytest
import torch

from pipeline.training import checkpoint
from pipeline.training.stopping import REQUEST, on_sigterm
from tests.methods.examples import examples
from tests.training.toy import make_trainer

STOPS = [(name, *stop) for name, example in examples().items() if not example.is_variant for stop in example.stops]


def interrupt(method, epoch, step):
    """Has SIGTERM sent to this process in a step (from 1) of an epoch (from 0)."""
    place, enter = {"epoch": -1, "groups": 0}, method.enter_epoch

    def entering(number):
        place.update(epoch=number, groups=0)
        enter(number)

    def signalling(*_):
        place["groups"] += 1
        if (place["epoch"], place["groups"]) == (epoch, step * method.groups):
            os.kill(os.getpid(), signal.SIGTERM)

    method.enter_epoch = entering
    method.register_forward_pre_hook(signalling)


def state_of(trainer):
    moments = [value for state in trainer.optimizer.state.values() for value in state.values()]
    return [*trainer.method.state_dict().values(), *moments, torch.get_rng_state()]


def train(name, folder, epochs, stop=None):
    example = examples()[name]
    trainer = make_trainer(method=example.build(**example.several_steps), epochs=epochs, run_folder=folder)
    if stop:
        interrupt(trainer.method, *stop)
    with on_sigterm(folder):
        history = trainer.run()
    return trainer, [{key: value for key, value in row.items() if key != "images_per_second"} for row in history]


@pytest.mark.parametrize(("name", "epochs", "epoch", "step"), STOPS)
def test_a_training_stopped_within_an_epoch_goes_on_bit_for_bit(tmp_path, name, epochs, epoch, step, capsys):
    undisturbed, expected = train(name, tmp_path / "undisturbed", epochs)

    stopped, history = train(name, tmp_path / "stopped", epochs, (epoch, step))
    assert len(history) == epoch
    found = checkpoint.latest(tmp_path / "stopped")
    assert found.folder.name == f"epoch-{epoch:04d}-step-{step:06d}"
    assert not all(torch.equal(a, b) for a, b in zip(state_of(stopped), state_of(undisturbed), strict=True))

    resumed, ours = train(name, tmp_path / "stopped", epochs)
    assert f"resumed after epoch {epoch} and {step} steps of {epochs}" in capsys.readouterr().err
    assert ours == expected
    assert all(torch.equal(a, b) for a, b in zip(state_of(resumed), state_of(undisturbed), strict=True))


def test_a_request_in_the_last_step_of_an_epoch_ends_the_training_after_it(tmp_path):
    _, history = train("baseline", tmp_path, 3, (1, 3))
    assert [row["epoch"] for row in history] == [1, 2]
    assert checkpoint.latest(tmp_path).folder.name == "epoch-0002"


def test_a_damaged_checkpoint_within_an_epoch_falls_back_to_the_epoch_before(tmp_path, capsys):
    _, expected = train("baseline", tmp_path / "undisturbed", 2)
    train("baseline", tmp_path / "stopped", 2, (1, 1))
    (tmp_path / "stopped" / "epoch-0001-step-000001" / checkpoint.METHOD).write_bytes(b"tampered")
    _, ours = train("baseline", tmp_path / "stopped", 2)
    said = capsys.readouterr().err
    assert "passing over a damaged checkpoint" in said
    assert "resumed after epoch 1 of 2" in said
    assert ours == expected


def test_a_second_signal_ends_the_process_at_once(tmp_path, capfd):
    with on_sigterm(tmp_path):
        os.kill(os.getpid(), signal.SIGTERM)
        assert (tmp_path / REQUEST).exists()
        with pytest.raises(SystemExit) as end:
            os.kill(os.getpid(), signal.SIGTERM)
    assert end.value.code == 143
    assert "saving after the next step" in capfd.readouterr().err


def test_what_was_asked_of_an_earlier_process_is_forgotten(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    (tmp_path / REQUEST).touch()
    with on_sigterm(tmp_path):
        assert not (tmp_path / REQUEST).exists()
    assert signal.getsignal(signal.SIGTERM) is before
