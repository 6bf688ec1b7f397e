"""Outputs of every stage on a full disk, on a read-only one, and on mount points: a sentence, and never a traceback."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import load
from tests.faults.full_output_victim import OUTPUTS, REPLACED
from tests.noise import MSKD, changed
from tests.stages.conftest import make_project
from tests.stages.test_prepare import SIZES

ROOT = Path(__file__).parents[2]
MAY_MOUNT = subprocess.run(
    ["unshare", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"], check=False, capture_output=True
)
pytestmark = pytest.mark.skipif(MAY_MOUNT.returncode != 0, reason="nothing may be mounted here")


@pytest.fixture(scope="module")
def project(noise, tmp_path_factory):
    made = make_project(tmp_path_factory.mktemp("full") / "project", noise)
    made.run("train", "pretrain")
    people = load(ROOT / "params.yaml")["data"]["people"]
    made.add("data", people=people, small={"like": "people", "height": 32, "width": 16, "people": SIZES})
    made.add("recipes", teacher=changed(MSKD, training__epochs=1))
    made.write(experiments={"teacher": {"recipe": "teacher", "paper": "mskd", "data": "noise"}})
    return made


@pytest.fixture(scope="module")
def told(project):
    """What each command said, by what its disk is."""
    command = f"exec {sys.executable} -m tests.faults.full_output_victim {project.folder}"
    answer = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", command],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_full_disk_is_said_with_its_place_and_what_is_free(told, project, name):
    place = project.folder / OUTPUTS[name][1]
    assert re.match(r"error: .*" + re.escape(f"the file system at {place} has 0.0 MB free"), told["full"][name])


def test_room_that_is_missing_is_said_before_the_work(told):
    said = told["full"]
    assert said["prepare"].startswith("error: 14 images packed to 32x16 take 0.0 MB in data/prepared/small, and")
    assert said["evaluate"].startswith("error: its embeddings take 0.0 MB in artifacts/evaluate/pretrain, and")


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_read_only_disk_is_called_one(told, project, name):
    place = project.folder / OUTPUTS[name][1]
    assert f"the file system at {place} is read-only" in told["read-only"][name]


@pytest.mark.parametrize("name", REPLACED)
def test_a_mount_point_is_called_one_before_the_work(told, project, name):
    place = REPLACED[name][1]
    assert re.match(rf"error: (.*/)?{place} is a mount point", told["mount point"][name])
