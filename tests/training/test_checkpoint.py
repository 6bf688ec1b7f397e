import json

import pytest
import torch

from pipeline.training import checkpoint
from tests.training.toy import Toy


def make_toy(seed):
    torch.manual_seed(seed)
    return Toy(num_classes=6, groups=2, seed=0)


def write(folder, epoch=1, seed=0):
    method = make_toy(seed)
    method.memory += 3
    checkpoint.save_epoch(folder, epoch, method, {"history": [{"loss": 1.5}]}, {"name": "toy"})
    return method


def test_a_checkpoint_restores_network_state_and_trainer(tmp_path):
    saved, fresh = write(tmp_path), make_toy(1)
    found = checkpoint.latest(tmp_path)
    trainer = found.restore(fresh)
    assert found.meta["epoch"] == 1
    assert trainer == {"history": [{"loss": 1.5}]}
    for name, value in saved.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value), name


def test_saved_names_are_those_of_the_network_alone(tmp_path):
    method = write(tmp_path)
    assert checkpoint.latest(tmp_path).model().keys() == method.network.state_dict().keys()


def test_a_state_that_has_grown_is_restored_with_its_shape(tmp_path):
    method = make_toy(0)
    method.memory = torch.ones(9, 6)
    checkpoint.save_epoch(tmp_path, 1, method, {}, {})
    fresh = make_toy(1)
    checkpoint.latest(tmp_path).restore(fresh)
    assert torch.equal(fresh.memory, torch.ones(9, 6))


def test_only_the_newest_two_are_kept(tmp_path):
    for epoch in range(1, 5):
        write(tmp_path, epoch)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["epoch-0003", "epoch-0004"]


@pytest.mark.parametrize("name", [checkpoint.MODEL, checkpoint.METHOD, checkpoint.TRAINER])
def test_a_truncated_file_is_refused_and_the_checkpoint_before_is_used(tmp_path, capsys, name):
    write(tmp_path, 1)
    write(tmp_path, 2)
    file = tmp_path / "epoch-0002" / name
    file.write_bytes(file.read_bytes()[:-1])
    assert checkpoint.latest(tmp_path).meta["epoch"] == 1
    assert f"{name} differs from what was saved" in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / "epoch-0001" / checkpoint.TRAINER).unlink()
    with pytest.raises(checkpoint.CheckpointError, match=r"trainer\.pt is missing"):
        checkpoint.open_checkpoint(tmp_path / "epoch-0001")


def test_a_half_written_checkpoint_is_never_seen(tmp_path, monkeypatch):
    write(tmp_path, 1)

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", full_disk)
    with pytest.raises(checkpoint.CheckpointError, match=r"could not be written: it takes .*No space left"):
        write(tmp_path, 2)
    assert [folder.name for folder in tmp_path.iterdir()] == ["epoch-0001"]
    assert checkpoint.latest(tmp_path).meta["epoch"] == 1
    monkeypatch.undo()
    write(tmp_path, 2)
    assert checkpoint.latest(tmp_path).meta["epoch"] == 2


def test_state_of_another_method_is_refused(tmp_path):
    write(tmp_path)
    other = make_toy(0)
    other.register_buffer("prototypes", torch.zeros(2))
    with pytest.raises(checkpoint.CheckpointError, match="another method or version"):
        checkpoint.latest(tmp_path).restore(other)


def test_meta_says_what_made_it(tmp_path):
    write(tmp_path)
    meta = json.loads((tmp_path / "epoch-0001" / checkpoint.META).read_text())
    assert meta["name"] == "toy"
    assert set(meta["files"]) == {checkpoint.MODEL, checkpoint.METHOD, checkpoint.TRAINER}


@pytest.mark.parametrize(
    "altered",
    [{"files": {}}, {"epoch": 7}, {"name": "other"}, {"more": 1}, {checkpoint.SELF: None}, {checkpoint.SELF: "0" * 64}],
)
def test_an_altered_word_of_meta_is_refused_by_all_who_read_it(tmp_path, altered):
    write(tmp_path)
    file = tmp_path / "epoch-0001" / checkpoint.META
    file.write_text(json.dumps(json.loads(file.read_text()) | altered))
    for read in (checkpoint.open_checkpoint, checkpoint.read_meta):
        with pytest.raises(checkpoint.CheckpointError, match=r"meta\.json differs from what was saved"):
            read(file.parent)


def test_weights_that_meta_does_not_know_are_not_opened(tmp_path):
    write(tmp_path)
    folder = tmp_path / "epoch-0001"
    checkpoint._write_meta(folder, checkpoint.read_meta(folder) | {"files": {}})
    with pytest.raises(checkpoint.CheckpointError, match=r"meta\.json knows no method\.safetensors"):
        checkpoint.open_checkpoint(folder)


@pytest.mark.parametrize("text", ["", "{", "5", "[]", "null", "{}", '{"files": 5}', '{"files": null}'])
def test_what_is_no_meta_is_said_to_be_none(tmp_path, text):
    write(tmp_path)
    (tmp_path / "epoch-0001" / checkpoint.META).write_text(text)
    with pytest.raises(checkpoint.CheckpointError, match=r"meta\.json"):
        checkpoint.open_checkpoint(tmp_path / "epoch-0001")
