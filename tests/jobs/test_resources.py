import os
import time
from types import SimpleNamespace

import pytest

from pipeline.config import parse
from pipeline.jobs import address, resources
from pipeline.jobs.resources import ResourcesParams, Team, choose_team, connected
from pipeline.training.step import PLAIN


def params(workers, cpus=1):
    return ResourcesParams(workers=workers, cpus_per_worker=cpus, retries=0, **dict(PLAIN))


@pytest.mark.parametrize(
    ("gpus", "groups", "workers"), [(0, 4, 1), (1, 4, 1), (2, 4, 2), (3, 4, 2), (4, 4, 4), (8, 4, 4), (8, 6, 6)]
)
def test_auto_takes_as_many_gpus_as_share_the_groups_evenly(gpus, groups, workers):
    team = choose_team(params("auto", cpus=2), groups, {"CPU": 16.0, "GPU": float(gpus)})
    assert team == Team(workers, cpus=2, gpus=1 if gpus else 0)


def test_each_worker_gets_a_gpu_where_there_is_one_for_each():
    assert choose_team(params(2), 4, {"CPU": 2.0, "GPU": 2.0}).share() == {"CPU": 1, "GPU": 1}


def test_all_workers_run_on_cpus_where_gpus_are_too_few_and_say_so(capsys):
    assert choose_team(params(4), 4, {"CPU": 4.0, "GPU": 2.0}).share() == {"CPU": 1}
    assert capsys.readouterr().err == "2 GPUs for 4 workers: running on CPUs\n"


def test_no_gpu_at_all_is_nothing_to_speak_of(capsys):
    assert choose_team(params(2), 2, {"CPU": 2.0}).share() == {"CPU": 1}
    assert capsys.readouterr().err == ""


def test_too_few_cpus_are_an_error_that_says_what_to_change():
    with pytest.raises(ValueError, match=r"2 workers of 3 CPUs need 6, and there are 4: lower .*`resources`"):
        choose_team(params(2, cpus=3), 2, {"CPU": 4.0})


def test_an_uneven_share_is_refused_before_a_worker_starts():
    with pytest.raises(ValueError, match="3 workers cannot share 4 groups evenly; use one of 1, 2, 4 workers"):
        choose_team(params(3), 4, {"CPU": 8.0})


@pytest.mark.parametrize("workers", [0, 4, "auto"])
def test_workers_are_a_number_or_auto(workers):
    block = {"workers": workers, "cpus_per_worker": 1, "retries": 0, **dict(PLAIN)}
    assert parse(ResourcesParams, block, "resources.mdpr").workers == workers
    with pytest.raises(ValueError, match=r"resources\.mdpr\.workers.*'all'"):
        parse(ResourcesParams, block | {"workers": "all"}, "resources.mdpr")


@pytest.mark.parametrize(
    ("bounds", "there", "team"),
    [
        ([1, 4], {"CPU": 4.0}, Team(4, cpus=1, gpus=0)),
        ([1, 4], {"CPU": 3.0}, Team(2, cpus=1, gpus=0)),  # 3 cannot share 4 groups
        ([1, 2], {"CPU": 1.0}, Team(1, cpus=1, gpus=0)),
        ([1, 2], {"CPU": 2.0, "GPU": 1.0}, Team(1, cpus=1, gpus=1)),
        ([1, 4], {"CPU": 8.0, "GPU": 3.0}, Team(2, cpus=1, gpus=1)),
        ([2, 4], {"CPU": 8.0, "GPU": 1.0}, Team(4, cpus=1, gpus=0)),
    ],
)
def test_bounds_take_as_many_as_there_is_room_for_and_as_share_the_groups_evenly(bounds, there, team):
    assert choose_team(params(bounds), 4, there) == team


def test_auto_takes_as_many_gpus_as_the_cpus_suffice_for():
    assert choose_team(params("auto", cpus=2), 4, {"CPU": 6.0, "GPU": 4.0}) == Team(2, cpus=2, gpus=1)


def test_bounds_that_hold_no_even_share_or_no_room_are_refused():
    with pytest.raises(ValueError, match="no number of workers from 3 to 3 shares 4 groups evenly: "):
        choose_team(params([3, 3]), 4, {"CPU": 8.0})
    with pytest.raises(ValueError, match="2 workers of 1 CPUs need 2, and there are 1: lower"):
        choose_team(params([2, 4]), 4, {"CPU": 1.0})
    with pytest.raises(ValueError, match=r"resources\.mdpr\.workers"):
        parse(ResourcesParams, {"workers": [2], "cpus_per_worker": 1, "retries": 0, **dict(PLAIN)}, "resources.mdpr")


class Ray:
    """Stands in for Ray: notes how it is started and whether it is ended."""

    def __init__(self, is_running=False):
        self.is_running, self.calls = is_running, []

    def is_initialized(self):
        return self.is_running

    def init(self, **options):
        self.calls.append(options)

    def cluster_resources(self):
        return {"CPU": self.calls[0].get("num_cpus", 64) if self.calls else 64}

    def nodes(self):
        return [{"Alive": True}, {"Alive": False}, {"Alive": True}]

    def get_runtime_context(self):
        return SimpleNamespace(gcs_address="127.0.0.1:1")

    util = SimpleNamespace(client=SimpleNamespace(ray=SimpleNamespace(is_connected=lambda: False)))

    def shutdown(self):
        self.calls.append("shutdown")


@pytest.fixture
def ray(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ.pop("RAY_ADDRESS", None)
    stand_in = Ray()
    monkeypatch.setitem(resources.sys.modules, "ray", stand_in)
    private = SimpleNamespace(ray_constants=SimpleNamespace(ENABLE_RAY_CLUSTER=True))
    monkeypatch.setitem(resources.sys.modules, "ray._private", private)
    return stand_in


@pytest.mark.parametrize("workers", [4, "auto"])
def test_a_local_instance_lets_more_workers_than_cores_take_turns_and_is_ended(ray, workers):
    with pytest.raises(ArithmeticError), connected(params(workers, cpus=100), 4):
        raise ArithmeticError
    started, ended = ray.calls
    assert started["address"] == "local"
    assert started["num_cpus"] == 400
    assert started["dashboard_host"] == "127.0.0.1"
    assert ended == "shutdown"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_what_asks_a_local_instance_knows_its_address_while_it_runs(ray):
    with connected(params(1), 1):
        assert os.environ["RAY_API_SERVER_ADDRESS"] == f"http://127.0.0.1:{ray.calls[0]['dashboard_port']}"
    assert "RAY_API_SERVER_ADDRESS" not in os.environ


def test_a_cluster_is_joined_said_and_left(ray, monkeypatch, capsys):
    monkeypatch.setattr(resources, "check_answers", lambda address: None)
    os.environ["RAY_ADDRESS"] = "10.0.0.1:6379"
    with connected(params(2), 2) as team:
        assert team.workers == 2
    assert capsys.readouterr().err == "Ray cluster at 10.0.0.1:6379: 2 machines, 64 cores, 0 GPUs\n"
    assert [call if call == "shutdown" else call["address"] for call in ray.calls] == ["10.0.0.1:6379", "shutdown"]


def test_a_cluster_that_refuses_is_named_with_what_it_says(ray, monkeypatch):
    def refuse(**options):
        raise RuntimeError("Version mismatch: The cluster was started with another version")

    monkeypatch.setattr(resources, "check_answers", lambda address: None)
    monkeypatch.setattr(ray, "init", refuse)
    os.environ["RAY_ADDRESS"] = "10.0.0.1:6379"
    with (
        pytest.raises(ValueError, match=r"Ray at RAY_ADDRESS 10\.0\.0\.1:6379 can't be joined: Version"),
        connected(params(2), 2),
    ):
        pass


def test_joining_that_takes_long_is_said(ray, monkeypatch, capsys):
    monkeypatch.setattr(resources, "check_answers", lambda address: None)
    monkeypatch.setattr(resources, "LATE_SECONDS", 0.01)
    monkeypatch.setattr(ray, "init", lambda **options: time.sleep(0.3))
    os.environ["RAY_ADDRESS"] = "10.0.0.1:6379"
    with connected(params(2), 2):
        pass
    assert "Ray at RAY_ADDRESS 10.0.0.1:6379 answers and has not let" in capsys.readouterr().err


def test_an_address_where_nobody_answers_ends_before_ray_is_asked(ray, monkeypatch):
    monkeypatch.setattr(address, "PATIENCE_SECONDS", 0.0)
    os.environ["RAY_ADDRESS"] = "127.0.0.1:1"
    with pytest.raises(ValueError, match="Ray does not answer at RAY_ADDRESS 127"), connected(params(2), 2):
        pass
    assert ray.calls == []


def test_an_instance_that_runs_already_is_used_and_left_alone(ray):
    ray.is_running = True
    with connected(params(2), 2):
        pass
    assert ray.calls == []


def test_settings_of_the_user_stand(ray):
    os.environ["RAY_USAGE_STATS_ENABLED"] = "1"
    with connected(params(1), 1):
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
