"""A run killed at random moments and started again ends bit for bit as one that was never stopped."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from pipeline.training import checkpoint
from tests.faults import mskd_victim
from tests.faults.victim import EPOCHS

ROOT = Path(__file__).parents[2]
FORWARDS = 12  # 6 steps of 2 groups an epoch


def start(run_folder, heartbeat, victim="victim"):
    heartbeat.unlink(missing_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.faults.{victim}", str(run_folder), str(heartbeat)],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(run_folder, heartbeat, victim="victim"):
    process = start(run_folder, heartbeat, victim)
    _, output = process.communicate(timeout=600)  # on busy cores
    assert process.returncode == 0, output
    return output


def kill_at(process, heartbeat, epoch, what, count):
    """Kills the process as soon as it has reached a moment, and returns where it was."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.poll() is None:
        beat = heartbeat.read_text().split() if heartbeat.exists() else []
        if beat and (int(beat[0]), beat[1], int(beat[2])) >= (epoch, what, count) and beat[1] == what:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    _, output = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, output
    return heartbeat.read_text().split(), output


def final_state(run_folder, epochs=EPOCHS):
    found = checkpoint.latest(run_folder)
    assert found.meta["epoch"] == epochs
    trainer = torch.load(found.folder / checkpoint.TRAINER, weights_only=True)
    moments = trainer["optimizer"]["state"]
    digests = {name: found.meta["files"][name] for name in (checkpoint.MODEL, checkpoint.METHOD)}
    losses = [row["loss"] for row in trainer["history"]]
    return digests, losses, [value for state in moments.values() for value in state.values()]


def test_a_killed_run_ends_bit_for_bit_as_an_undisturbed_one(tmp_path):
    chance = random.Random(20240112)
    moments = [(epoch, "step", chance.randrange(2, FORWARDS)) for epoch in (0, 1, 3, 4)]
    moments.insert(2, (2, "saving", 0))
    undisturbed, disturbed, heartbeat = tmp_path / "undisturbed", tmp_path / "disturbed", tmp_path / "heartbeat"
    finish(undisturbed, heartbeat)

    done = 0
    for epoch, what, count in moments:
        beat, output = kill_at(start(disturbed, heartbeat), heartbeat, epoch, what, count)
        assert beat[:2] == [str(epoch), what], "the kill struck elsewhere"
        assert int(beat[2]) < FORWARDS or what == "saving"
        assert (f"resumed after epoch {done}" in output) == (done > 0)
        done = epoch
        if what == "saving":
            assert (disturbed / f".epoch-{epoch + 1:04d}.partial").is_dir()
            assert checkpoint.latest(disturbed).meta["epoch"] == epoch
    assert "resumed after epoch 4" in finish(disturbed, heartbeat)

    ours, theirs = final_state(disturbed), final_state(undisturbed)
    assert ours[:2] == theirs[:2]
    assert all(torch.equal(a, b) for a, b in zip(ours[2], theirs[2], strict=True))


def everything_but_speed(run_folder):
    """Returns digests of network and method (memories, teacher), the history, and the trainer's tensors."""
    digests, _, moments = final_state(run_folder, mskd_victim.EPOCHS)
    trainer = torch.load(checkpoint.latest(run_folder).folder / checkpoint.TRAINER, weights_only=True)
    history = [{key: value for key, value in row.items() if key != "images_per_second"} for row in trainer["history"]]
    return (digests, history), [*moments, trainer["labels"], trainer["random"]]


def test_a_student_killed_while_clustering_and_while_stepping_ends_bit_for_bit_as_an_undisturbed_one(tmp_path):
    mskd_victim.write_inputs(tmp_path)
    undisturbed, disturbed, heartbeat = tmp_path / "undisturbed", tmp_path / "disturbed", tmp_path / "heartbeat"
    finish(undisturbed, heartbeat, "mskd_victim")

    for epoch, what, count in ((1, "clustering", 1), (2, "step", 3)):
        beat, _ = kill_at(start(disturbed, heartbeat, "mskd_victim"), heartbeat, epoch, what, count)
        assert beat[:2] == [str(epoch), what], "the kill struck elsewhere"
        assert checkpoint.latest(disturbed).meta["epoch"] == epoch
    assert "resumed after epoch 2" in finish(disturbed, heartbeat, "mskd_victim")

    (ours, our_tensors), (theirs, their_tensors) = map(everything_but_speed, (disturbed, undisturbed))
    assert ours == theirs
    assert "churn" in ours[1][1], "the labels before are part of the state"
    assert all(torch.equal(a, b) for a, b in zip(our_tensors, their_tensors, strict=True))


def test_a_tampered_checkpoint_is_passed_over_and_the_run_ends_bit_for_bit_as_an_undisturbed_one(tmp_path):
    undisturbed, disturbed, heartbeat = tmp_path / "undisturbed", tmp_path / "disturbed", tmp_path / "heartbeat"
    finish(undisturbed, heartbeat)
    kill_at(start(disturbed, heartbeat), heartbeat, 3, "step", 4)
    weights = checkpoint.latest(disturbed).folder / checkpoint.MODEL
    assert weights.parent.name == "epoch-0003"
    as_saved = bytearray(weights.read_bytes())
    as_saved[-8] ^= 1  # one bit of one weight
    weights.write_bytes(as_saved)

    said = finish(disturbed, heartbeat)
    assert f"passing over a damaged checkpoint: {weights.parent}: model.safetensors differs from what was saved" in said
    assert "resumed after epoch 2" in said
    ours, theirs = final_state(disturbed), final_state(undisturbed)
    assert ours[:2] == theirs[:2]
    assert all(torch.equal(a, b) for a, b in zip(ours[2], theirs[2], strict=True))
