import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.batches.loading import Loader
from pipeline.config import block
from pipeline.images.table import DataError
from pipeline.layers.embedder import Embedder
from pipeline.training.embed import embed
from pipeline.training.loop import NonFiniteLossError, _check_finite
from pipeline.training.workers import Workers
from stages.__main__ import COMMANDS
from stages.cli_errors import exit_on_user_error

ROOT = Path(__file__).parents[2]


def test_the_message_of_this_project_is_all_that_is_said():
    with pytest.raises(SystemExit) as end, exit_on_user_error():
        block({"mdpr": 1}, "mdpt")
    assert end.value.code == "error: params.yaml has no mdpt; did you mean mdpr?"


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: np.zeros(3).reshape(2),
        lambda: Path("absent").read_text(),
        lambda: int("three"),
        lambda: {}["key"],
    ],
)
def test_what_nobody_expected_keeps_its_traceback(mistake):
    with pytest.raises((ValueError, OSError, KeyError)), exit_on_user_error():
        mistake()


def test_a_loss_that_is_not_finite_and_broken_data_are_exit_on_user_error():
    with pytest.raises(SystemExit, match="loss = nan"), exit_on_user_error():
        _check_finite({"loss": float("nan")}, "mdpr, epoch 1, step 2")
    assert issubclass(NonFiniteLossError, ArithmeticError)
    assert issubclass(DataError, ValueError)


def no_memory(*ignored, **too):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_a_full_gpu_while_training_is_told_what_to_change_and_what_that_changes():
    with pytest.raises(SystemExit) as end, exit_on_user_error():
        no_memory()
    message = str(end.value.code)
    assert message.startswith("error: CUDA out of memory. Tried to allocate 2.00 GiB.\n")
    for key in (
        "recompute: true",
        "training.precision: bfloat16",
        "settings.batch",
        "settings.backbone",
        "CUDA_VISIBLE_DEVICES",
    ):
        assert key in message
    assert "embedding_batch" not in message


def test_a_full_gpu_while_embedding_is_told_to_embed_fewer_images_at_a_time():
    images = Loader(np.zeros((4, 8, 4, 3), np.uint8), np.ones(4), np.zeros(4), None, torch.device("cpu"), torch.float32)
    embedder = Embedder(torch.nn.Identity(), no_memory)
    with pytest.raises(SystemExit, match=r"training\.embedding_batch.*\nevaluation\.batch"), exit_on_user_error():
        embed(embedder, images, np.arange(4), batch_size=2, workers=Workers(0, 1))


def test_another_error_of_torch_keeps_its_traceback():
    with pytest.raises(RuntimeError, match="mat1 and mat2"), exit_on_user_error():
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def python(*arguments, cwd):
    return subprocess.run(
        [sys.executable, *arguments], check=False, cwd=cwd, env={"PYTHONPATH": str(ROOT), "REID_TRACKING": "off"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_instant(command, tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = python("-X", "importtime", "-m", "stages", command, "--help", cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(f"usage: reid {command} ")
    loaded = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()}
    assert not loaded & {"torch", "ray", "mlflow", "dvc", "pandas"}
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5
    assert list(tmp_path.iterdir()) == []


def test_a_command_ends_with_status_1_and_one_line(tmp_path):
    answer = python("-m", "stages", "prepare", "people", cwd=tmp_path)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr == f"error: no parameters at {tmp_path}/params.yaml: run from the project's root folder\n"
