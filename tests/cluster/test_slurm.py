"""``make cluster-test``: cluster/slurm.sh on two machines, with programs that stand in for those of Slurm."""

import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.cluster.checkout import environment, make_checkout, results, run
from tests.cluster.machines import can_be_split, running, two_machines

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

PATIENCE_SECONDS = 900
EPOCHS = 30
LEFT = ("raylet", "gcs_server", "RayTrainWorker", "ray start", "dvc repro", "-m stages")


@pytest.fixture(scope="module")
def folder():
    """A short path: sockets lie below it."""
    if not can_be_split():
        pytest.skip("two machines that share processes are one to ray symmetric-run: needs namespaces")
    place = Path(tempfile.mkdtemp(prefix="reid-", dir="/tmp"))
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def one_machine(folder):
    """A tiny checkout in which this machine has trained one experiment of two workers, without a break."""
    prepared = make_checkout(folder / "prepared")
    params = yaml.safe_load((prepared / "params.yaml").read_text())
    params["experiments"]["baseline"]["change"] = {"training": {"epochs": EPOCHS}}
    (prepared / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    run(prepared, "dvc", "repro", "starts@pretrain")
    alone = Path(shutil.copytree(prepared, folder / "alone", symlinks=True))
    run(alone, "dvc", "repro", "train@baseline")
    return SimpleNamespace(prepared=prepared, results=results(alone))


@pytest.fixture(scope="module")
def done(folder, one_machine):
    """The same by two starts of one job on two machines, the first of which gets the signal, and what was seen."""
    checkout = Path(shutil.copytree(one_machine.prepared, folder / "shared", symlinks=True))
    with ExitStack() as stack:
        machines = stack.enter_context(two_machines(folder / "machines"))
        start = stack.enter_context(slurm_of(machines, checkout, folder / "slurm"))
        begun, left = time.monotonic(), []
        first = start("train@baseline", "first.log")
        wait_for(lambda: list(checkout.glob(".runs/baseline-*/epoch-*")), first)
        workers = [processes(machine, ["RayTrainWorker"]) for machine in machines]
        trains, begun = time.monotonic() - begun, time.monotonic()
        signal_job(machines[0])
        first.process.wait(PATIENCE_SECONDS)
        left += [processes(machine, LEFT) for machine in machines]
        stopped, begun = time.monotonic() - begun, time.monotonic()
        is_ended = (checkout / "artifacts/train/baseline").exists()
        second = start("train@baseline", "second.log")
        status = second.process.wait(PATIENCE_SECONDS)
        left += [processes(machine, LEFT) for machine in machines]
        print(f"trains after {trains:.0f} s, ends {stopped:.0f} s after the signal, and")
        print(f"goes on to its end in {time.monotonic() - begun:.0f} s")
        yield SimpleNamespace(
            first=first.output.read_text(), second=second.output.read_text(), status=status, workers=workers, left=left,
            is_ended=is_ended, queued=(folder / "slurm" / "scontrol.log").read_text(), results=results(checkout),
        )  # fmt: skip


@contextmanager
def slurm_of(machines, checkout, folder):
    """Yields what starts the job: on the first machine, from a copy of the script, with one core on each."""
    folder.mkdir()
    stand_in = Path(__file__).with_name("slurm_stand_in.py")
    for name in ("srun", "scontrol"):
        (folder / name).write_text(f'#!/bin/bash\nexec {sys.executable} {stand_in} {name} "$@"\n')
        (folder / name).chmod(0o755)
    shutil.copy2(checkout / "cluster" / "slurm.sh", folder / "slurm_script")
    seen = environment(
        checkout, STAND_IN=str(folder), HOME=str(machines[0].home), SLURM_JOB_ID="4711", SLURM_JOB_NUM_NODES="2",
        SLURM_JOB_NODELIST="reid-[head,worker]", SLURM_SUBMIT_DIR=str(checkout), SLURM_CPUS_ON_NODE="1",
    )  # fmt: skip
    seen["PATH"] = f"{folder}:{seen['PATH']}"
    with ExitStack() as stack:
        node = machines[1].start(sys.executable, stand_in, "node", env=seen, **said(folder / "node.log"))
        stack.enter_context(running(node))

        def start(target, output):
            words = ("bash", folder / "slurm_script", target)
            process = machines[0].start(*words, env=seen, cwd=checkout, **said(folder / output))
            return SimpleNamespace(process=stack.enter_context(running(process)), output=folder / output)

        yield start


def said(file):
    return {"stdout": file.open("w"), "stderr": subprocess.STDOUT}


def processes(machine, names):
    """Returns the command lines on a machine that have one of these names in them."""
    lines = machine.run("ps", "-eo", "args").splitlines()
    return [line for line in lines if any(name in line for name in names)]


def signal_job(machine):
    """Signals the script itself, as Slurm does; it is below what enters the machine."""
    for line in machine.run("ps", "-eo", "pid,args").splitlines():
        if line.split()[1:2] == ["bash"] and "slurm_script" in line:
            machine.run("kill", "-USR1", line.split()[0])


def wait_for(has_come, job):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := has_come()):
        assert job.process.poll() is None, job.output.read_text()
        assert time.monotonic() < deadline, job.output.read_text()
        time.sleep(0.1)
    return found


def test_the_first_start_trains_on_both_machines(done):
    assert "job 4711: 2 machines, head reid-head (10.77.0.1:24711)" in done.first
    assert "Ray cluster at 10.77.0.1:24711: 2 machines, 2 cores, 0 GPUs" in done.first
    assert [len(lines) for lines in done.workers] == [1, 1]


def test_the_signal_saves_the_step_and_queues_the_job_again(done):
    assert "stopped by SIGTERM and saved" in done.first
    assert "job 4711: stopped ahead of its end, queued again" in done.first
    assert done.queued == "requeue 4711\n"
    assert not done.is_ended


def test_the_second_start_goes_on_from_there(done):
    assert "resumed after" in done.second
    assert done.status == 0


def test_the_weights_are_those_of_one_machine_without_a_break_in_every_bit(done, one_machine):
    assert len(one_machine.results) == 2 + 2  # of the experiment, and of what it starts from
    assert done.results == one_machine.results


def test_neither_start_leaves_a_process_behind(done):
    assert done.left == [[], [], [], []]
