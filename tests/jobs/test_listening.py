"""Who may talk to what a local Ray instance starts: this machine, and who knows the token."""

import os
import urllib.error
import urllib.request

import psutil
import pytest
import ray as real_ray


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


@pytest.mark.parametrize("path", ["/api/jobs/", "/api/v0/actors", "/logical/actors"])
def test_the_dashboard_and_its_job_server_answer_nobody_without_the_token(ray, path):
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(os.environ["RAY_API_SERVER_ADDRESS"] + path, timeout=60)
