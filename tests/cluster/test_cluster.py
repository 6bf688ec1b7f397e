"""``make cluster-test``: two machines, the project's cluster files, a tracking server, and ``dvc repro`` on them."""

import json
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cluster.checkout import environment, make_checkout, results, run
from tests.cluster.machines import two_machines
from tests.cluster.ray_cluster import ray_cluster
from tests.cluster.tracking_server import tracking_server

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def folder():
    """A short path: sockets lie below it."""
    place = Path(tempfile.mkdtemp(prefix="reid-", dir="/tmp"))
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def one_machine(folder):
    """A tiny checkout in which this machine has trained and scored two experiments of two workers each."""
    prepared = make_checkout(folder / "prepared")
    run(prepared, "dvc", "repro", "starts@pretrain")
    alone = Path(shutil.copytree(prepared, folder / "alone", symlinks=True))
    run(alone, "dvc", "repro", "evaluate@baseline", "evaluate@mdpr")
    return SimpleNamespace(prepared=prepared, results=results(alone))


@pytest.fixture(scope="module")
def done(folder, one_machine):
    """The same on two machines: one experiment as a job, the other by the launcher, and what is known of it."""
    checkout = Path(shutil.copytree(one_machine.prepared, folder / "shared", symlinks=True))
    with ExitStack() as stack:
        machines = stack.enter_context(two_machines(folder / "machines"))
        server = tracking_server(machines[0], folder / "mlflow", environment(checkout, MLFLOW_LOGGING_LEVEL="WARNING"))
        tracking, database = stack.enter_context(server)
        cluster = stack.enter_context(ray_cluster(machines, checkout, folder / "ray", tracking))
        job = cluster.submit_job("dvc repro evaluate@baseline")
        other = cluster.submit_by_launcher if cluster.launcher else lambda one: cluster.submit_job(f"dvc repro {one}")
        submitted = other("evaluate@mdpr")
        seen = cluster.environment | {"MLFLOW_TRACKING_URI": tracking}
        yield SimpleNamespace(
            job=job,
            submitted=submitted,
            how=f"{'namespaces' if machines[0].enter else 'one address'}, "
            f"{'launcher over ssh' if cluster.launcher else 'ray start by hand'}, {database}",
            results=results(checkout),
            worker_nodes=cluster.worker_nodes(),
            runs=ended_runs(machines[0], seen),
        )


def ended_runs(machine, seen):
    """The runs on the server, once the recorder has told it how the last of them ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        script = Path(__file__).with_name("list_runs.py")
        runs = json.loads(machine.run(sys.executable, script, env=seen).splitlines()[-1])
        if all(one["status"] != "RUNNING" for one in runs) or time.monotonic() > deadline:
            return runs
        time.sleep(2)


def test_jobs_run_on_the_cluster_to_their_end(done):
    print(done.how)
    for output, stage in ((done.job, "evaluate@baseline"), (done.submitted, "evaluate@mdpr")):
        assert f"Running stage '{stage}'" in output
    assert "succeeded" in done.job


def test_the_workers_of_each_training_are_on_both_machines(done):
    assert len(done.worker_nodes) == 2
    assert [len(nodes) for nodes in done.worker_nodes.values()] == [2, 2]


def test_weights_embeddings_and_metrics_are_those_of_one_machine_in_every_bit(done, one_machine):
    assert len(one_machine.results) == 2 * 5 + 2  # of both experiments, and the weights they start from
    assert done.results == one_machine.results


def test_the_tracking_server_has_a_tree_of_runs_for_each_submission(done):
    parents = {one["id"]: one for one in done.runs if one["parent"] is None}
    stages = {(one["name"], one["parent"]) for one in done.runs if one["parent"]}
    by_name = dict(stages)
    assert {one["status"] for one in done.runs} == {"FINISHED"}
    assert len(parents) == 2
    assert len(stages) == len(done.runs) - 2
    assert set(by_name) == {"prepare people", "train baseline", "evaluate baseline", "train mdpr", "evaluate mdpr"}
    assert by_name["prepare people"] == by_name["train baseline"] == by_name["evaluate baseline"] in parents
    assert by_name["train mdpr"] == by_name["evaluate mdpr"] in parents
    assert by_name["train mdpr"] != by_name["train baseline"]
    scored = next(one for one in done.runs if one["name"] == "evaluate mdpr")
    assert 0 < scored["metrics"]["mAP"] <= 1
