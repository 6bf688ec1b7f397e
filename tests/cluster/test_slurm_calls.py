"""What cluster/slurm.sh calls and exports, by programs that only note how they were called: no Slurm, no Ray."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
NOTE = '#!/bin/bash\necho "${0##*/} $*" >>"$NOTES"\n'
PROGRAMS = {
    # The part of the step that the head has.
    "srun": NOTE + 'while [ "$1" != ray ]; do shift; done; "$@"',
    "scontrol": NOTE + '[ "$1" = requeue ] || printf "node7\\nnode8\\nnode9\\n"',
    "getent": '#!/bin/bash\necho "$ADDRESS STREAM node7"',
    "hostname": '#!/bin/bash\necho "10.1.2.9 172.17.0.1"',
    ".venv/bin/ray": NOTE + 'env >"$NOTES.env"; [ -z "${BROKEN-}" ] || exit 0\n'
    'while [ "$1" != -- ]; do shift; done; "${@:2}"',
    ".venv/bin/python": NOTE + 'case "$*" in "-c "*) echo secret;; "-m stages"*) eval "$WORK";; esac',
    ".venv/bin/dvc": NOTE + '"$SHELL" -c "python -m stages train mdpr"',
}
LONG = "trap 'echo saved >>\"$NOTES\"; exit 143' TERM; for each in {1..600}; do sleep 0.1; done"


@pytest.fixture
def start(tmp_path):
    """Starts the script as Slurm does: as a copy elsewhere, in the checkout, with what Slurm says of a job."""
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "cluster", checkout / "cluster")
    (tmp_path / "spool").mkdir()
    shutil.copy2(ROOT / "cluster" / "slurm.sh", tmp_path / "spool" / "slurm_script")
    for name, text in PROGRAMS.items():
        file = (checkout if "/" in name else tmp_path / "bin") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    job = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "NOTES": str(tmp_path / "notes"), "WORK": "true",
        "ADDRESS": "10.1.2.3", "MLFLOW_TRACKING_URI": "http://mlflow:5000", "SLURM_JOB_ID": "1234567",
        "SLURM_SUBMIT_DIR": str(checkout), "SLURM_JOB_NODELIST": "node[7-9]", "SLURM_JOB_NUM_NODES": "3",
        "SLURM_CPUS_ON_NODE": "16",
    }  # fmt: skip

    def start(*words, **more):
        return subprocess.Popen(
            ["bash", tmp_path / "spool" / "slurm_script", *words], cwd=checkout, env=kept | job | more,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    return start


@pytest.fixture
def run(start):
    """Runs it to its end, and returns its status and what it says."""

    def run(*words, **more):
        process = start(*words, **more)
        told, _ = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, told

    return run


def notes(folder):
    return (folder / "notes").read_text().splitlines()


def test_dvc_runs_on_the_head_of_a_ray_on_every_machine(run, tmp_path):
    status, told = run("evaluate@mdpr", "tables")
    assert status == 0, told
    assert told.startswith("job 1234567: 3 machines, head node7 (10.1.2.3:24567)\n")
    checkout = tmp_path / "checkout"
    ran = f"-- bash {checkout}/cluster/slurm.sh --on-head {checkout}/.runs/slurm-1234567 repro evaluate@mdpr tables"
    ray = (
        "ray symmetric-run --address 10.1.2.3:24567 --min-nodes 3 --num-cpus=16 --object-store-memory=200000000 "
        f"--dashboard-host=10.1.2.3 {ran}"
    )
    called = [line for line in notes(tmp_path) if not line.startswith("python -c")]
    assert called == [
        "scontrol show hostnames node[7-9]",
        f"srun --export=ALL --ntasks-per-node=1 --cpu-bind=none --kill-on-bad-exit=0 {ray}",
        ray,
        "dvc repro evaluate@mdpr tables",
        "python -m stages train mdpr",
        "python -m pipeline.tracking.recorder",
    ]
    assert not list((checkout / ".runs").iterdir())


def test_every_machine_has_the_environment_of_the_cluster_and_its_token(run, tmp_path):
    run(REID_HEAD="10.0.0.1", RAY_ADDRESS="10.0.0.1:6379")  # as on a login node whose shells read environment.sh
    seen = dict(line.split("=", 1) for line in (tmp_path / "notes.env").read_text().splitlines() if "=" in line)
    checkout = tmp_path / "checkout"
    token = checkout / ".ray_auth_token"
    expected = {
        "REID_SHARED": str(checkout), "PYTHONPATH": str(checkout), "REID_HEAD": "10.1.2.3",
        "RAY_ADDRESS": "10.1.2.3:24567", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_TRACKING_URI": "http://mlflow:5000",
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == expected
    assert "REID_TRACKING" not in seen
    assert token.read_text() == "secret\n"
    assert token.stat().st_mode & 0o777 == 0o600
    token.write_text("mine")
    run()
    assert token.read_text() == "mine"


def test_a_head_whose_name_is_of_its_loopback_has_another_address(run):
    assert "head node7 (10.1.2.9:24567)" in run(ADDRESS="127.0.1.1")[1]


def test_where_no_tracking_server_is_named_nothing_is_recorded_and_that_is_said(run, tmp_path):
    status, told = run(MLFLOW_TRACKING_URI="")
    assert status == 0
    assert "no tracking server is named, so nothing is recorded" in told
    assert "REID_TRACKING=off" in (tmp_path / "notes.env").read_text()


def test_a_failure_is_that_of_the_job(run, tmp_path):
    assert run(WORK="exit 3")[0] == 3
    assert not any("requeue" in line for line in notes(tmp_path))


def test_a_ray_that_does_not_start_is_no_success_though_symmetric_run_has_status_0(run):
    status, told = run(BROKEN="1")
    assert status == 2
    assert "error: Ray did not start on all 3 machines" in told


@pytest.mark.parametrize(("words", "does"), [((), "train mdpr"), (("study", "mdpr"), "study mdpr")])
def test_the_signal_reaches_the_training_once_and_the_job_is_queued_again(start, tmp_path, words, does):
    process = start(*words, WORK=LONG)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (tmp_path / "notes").exists() or f"python -m stages {does}" not in notes(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)  # its trap is set
    process.send_signal(signal.SIGUSR1)
    told, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, told
    assert notes(tmp_path)[-2:] == ["saved", "scontrol requeue 1234567"]
    assert "stopped ahead of its end, queued again" in told


def test_each_task_of_an_array_has_a_row_of_the_study(run, tmp_path):
    assert run("study", "baseline", "mdpr", SLURM_ARRAY_TASK_ID="1")[0] == 0
    assert "python -m stages study mdpr" in notes(tmp_path)
    assert not any(line.startswith("dvc") for line in notes(tmp_path))


@pytest.mark.parametrize(
    ("words", "more", "said"),
    [
        (("study", "mdpr"), {"SLURM_ARRAY_TASK_ID": "1"}, "task 1 of the array has no row among the 1 of"),
        (("tables",), {"SLURM_ARRAY_TASK_ID": "0"}, "an array is for a study, and this is none: sbatch --array=0-1"),
        ((), {"SLURM_JOB_ID": ""}, "expected to be started by Slurm, and there is no job: sbatch"),
        ((), {"SLURM_SUBMIT_DIR": "/"}, "expected the project in /, where sbatch was called: call it there"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_said_before_anything_starts(run, tmp_path, words, more, said):
    status, told = run(*words, **more)
    assert status == 2
    assert told.startswith(f"error: {said}")
    assert told.count("\n") == 1
    assert not (tmp_path / "notes").exists()


def test_the_shell_finds_no_fault_in_it():
    file = ROOT / "cluster" / "slurm.sh"
    subprocess.run(["bash", "-n", file], check=True)
    if checker := shutil.which("shellcheck"):
        subprocess.run([checker, "--external-sources", file], check=True, cwd=ROOT)


def test_its_lines_for_slurm_ask_for_whole_machines_and_a_signal_to_the_script():
    asked = [line.split()[1] for line in (ROOT / "cluster" / "slurm.sh").read_text().splitlines() if "#SBATCH" in line]
    assert {"--exclusive", "--requeue", "--open-mode=append", "--ntasks-per-node=1"} <= set(asked)
    assert any(one.startswith("--signal=B:USR1@") for one in asked)
