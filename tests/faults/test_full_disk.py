"""A disk that is full while a checkpoint is written leaves the one before, and says what is needed."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAY_MOUNT = subprocess.run(
    ["unshare", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"], check=False, capture_output=True
)


def test_a_full_disk_leaves_the_last_good_checkpoint_and_says_what_is_needed(tmp_path):
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    command = f"exec {sys.executable} -m tests.faults.full_disk_victim {run_folder} {tmp_path / 'plain'}"
    if MAY_MOUNT.returncode == 0:  # a small disk, really full; else a limit on what may be written
        mount = f"mount -t tmpfs -o size=512k tmpfs {run_folder} && {command}"
        command = f"unshare --map-root-user --mount sh -c '{mount}'"
    answer = subprocess.run(command, shell=True, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    expected = (
        rf"{run_folder}/\.epoch-0003\.partial could not be written: it takes \d+\.\d MB, and its disk has [\d.]+ MB "
        r"free\. Free some space or raise the quota: the same command goes on from the last checkpoint before"
    )
    assert re.match(expected, found["error"])
    assert ("No space left on device" in found["error"]) or MAY_MOUNT.returncode != 0
    assert found["kept"] == ["epoch-0001", "epoch-0002"]
    assert found["epoch"] == 2
    assert "resumed after epoch 2 of 4" in answer.stderr
    assert found["same"]
