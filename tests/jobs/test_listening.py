"""Who may talk to what a local Ray instance starts: this machine, and who knows the token."""

import os
import urllib.error
import urllib.request

import psutil
import pytest
import ray as real_ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from pipeline.jobs.private import session_folder
from pipeline.jobs.rendezvous import rendezvous


def listening(process):
    """Returns the addresses that a process takes connections at."""
    try:
        found = process.net_connections("inet")
    except psutil.NoSuchProcess:
        return []
    return [(process.name(), one.laddr.ip, one.laddr.port) for one in found if one.status == psutil.CONN_LISTEN]


def test_all_that_listens_is_on_loopback(ray):
    where = real_ray.remote(real_ray.util.get_node_ip_address)  # in a worker, so that one listens too
    assert real_ray.get(where.remote()) == "127.0.0.1"
    everyone = [psutil.Process(), *psutil.Process().children(recursive=True)]
    sockets = [socket for process in everyone for socket in listening(process)]
    assert {"gcs_server", "raylet"} <= {name for name, _, _ in sockets}
    assert [socket for socket in sockets if socket[1].removeprefix("::ffff:") != "127.0.0.1"] == []


def where_it_listens():
    import torch.distributed

    assert torch.distributed.get_world_size() == 2
    torch.distributed.barrier()
    return [address for _, address, _ in listening(psutil.Process())]


def test_workers_that_train_together_meet_by_a_file_and_listen_on_loopback(ray, tmp_path):
    trainer = TorchTrainer(
        where_it_listens,
        scaling_config=ScalingConfig(num_workers=2),
        torch_config=rendezvous(tmp_path),
        run_config=RunConfig(storage_path=str(tmp_path / "ray")),
    )
    addresses = trainer.fit().return_value
    assert addresses, "the first of them talks to the second"
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}


def test_what_ray_keeps_is_for_this_user_alone(ray):
    sessions = session_folder()
    assert list(sessions.glob("session_*")), "Ray gives all rights to its own folder"
    assert sessions.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("path", ["/api/jobs/", "/api/v0/actors", "/logical/actors"])
def test_the_dashboard_and_its_job_server_answer_nobody_without_the_token(ray, path):
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(os.environ["RAY_API_SERVER_ADDRESS"] + path, timeout=60)
