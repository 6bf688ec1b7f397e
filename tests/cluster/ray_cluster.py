"""Ray on two machines, by the project's cluster files where ssh can be served there, else by ``ray start``."""

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.checkout import environment
from tests.cluster.machines import Machine, running

PATIENCE_SECONDS = 900
DASHBOARD_PORT = 8265
SSHD = """
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster: ``environment`` is what who talks to it has; ``launcher`` its YAML, None without ssh."""

    head: Machine
    checkout: Path
    environment: dict[str, str]
    launcher: Path | None

    def submit_job(self, command: str) -> str:
        """Returns what a job prints that runs a line of bash as docs/cluster.md does."""
        line = f". {self.checkout}/cluster/environment.sh && cd {self.checkout} && {command}"
        address = f"http://{self.head.address}:{DASHBOARD_PORT}"
        return self._run("ray", "job", "submit", "--address", address, "--", "bash", "-c", line)

    def submit_by_launcher(self, *targets: str) -> str:
        """Returns what the launcher's script prints."""
        return self._run("ray", "submit", self.launcher, self.checkout / "cluster/submit.py", "--", *targets)

    def worker_nodes(self) -> dict[str, set[str]]:
        """Returns the nodes that the training workers of each job were on."""
        address = f"http://{self.head.address}:{DASHBOARD_PORT}"
        listed = self._run(
            "ray", "list", "actors", "--address", address, "--format", "json", "--detail", "--limit", "1000"
        )
        nodes: dict[str, set[str]] = {}
        for actor in json.loads(listed):
            if actor["class_name"] == "RayTrainWorker":
                nodes.setdefault(actor["job_id"], set()).add(actor["node_id"])
        return nodes

    def nodes(self) -> int:
        """Returns how many nodes live."""
        seen = self.environment | {"RAY_ADDRESS": f"{self.head.address}:6379"}
        count = "import ray; ray.init(log_to_driver=False); print(sum(node['Alive'] for node in ray.nodes()))"
        return int(self.head.run("python", "-c", count, env=seen).split()[-1])

    def _run(self, *command) -> str:
        return self.head.run(*command, env=self.environment, cwd=self.checkout)


@contextmanager
def ray_cluster(machines: list[Machine], checkout: Path, folder: Path, tracking: str) -> Iterator[Cluster]:
    """Starts Ray on the machines, with one core each, and ends it."""
    folder.mkdir()
    edit(checkout / "cluster/environment.sh", {"/shared/reid": str(checkout), "10.0.0.1": machines[0].address,
                                               "http://$REID_HEAD:5000": tracking})  # fmt: skip
    token = checkout / ".ray_auth_token"
    token.write_text("6f1d" * 16)
    token.chmod(0o600)
    seen = environment(checkout, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token), HOME=str(machines[0].home))
    with ExitStack() as stack:
        is_launched = machines[0].enter and all(map(shutil.which, ("sshd", "ssh-keygen", "rsync")))
        if is_launched:
            cluster = Cluster(machines[0], checkout, seen, _edited_launcher(machines, checkout, folder))
            stack.enter_context(_ssh(machines, folder))
            _insist(lambda: cluster._run("ray", "up", "--yes", "--no-config-cache", cluster.launcher))
        else:
            cluster = Cluster(machines[0], checkout, seen, None)
            stack.enter_context(_by_hand(machines, folder, checkout))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while cluster.nodes() < 2:
            assert time.monotonic() < deadline, "the second machine did not join"
            time.sleep(2)
        yield cluster


def _insist(start: Callable[[], object]) -> None:
    """Tries three times: Ray gives a node 30 s to start, which busy cores may not suffice for."""
    for _ in range(2):
        with contextlib.suppress(AssertionError):
            start()
            return
    start()


def edit(file: Path, changes: dict[str, str]) -> None:
    """Replaces texts of a file, each of which it must have."""
    text = file.read_text()
    for old, new in changes.items():
        assert old in text, f"{file} no longer says {old}"
        text = text.replace(old, new)
    file.write_text(text)


def _edited_launcher(machines: list[Machine], checkout: Path, folder: Path) -> Path:
    file = checkout / "cluster/launcher.yaml"
    changes = {"/shared/reid": str(checkout), "~/.ssh/id_ed25519": str(folder / "key"), "ubuntu": "root"}
    changes |= {"10.0.0.1": machines[0].address, "10.0.0.2": machines[1].address}
    edit(file, changes | {"--object-store-memory": "--num-cpus=1 --object-store-memory"})
    return file


@contextmanager
def _ssh(machines: list[Machine], folder: Path) -> Iterator[None]:
    """Both machines take ssh of one key."""
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "sshd_config").write_text(SSHD.format(folder=folder))
    with ExitStack() as stack:
        for machine in machines:
            (machine.home / ".bashrc").touch()
            output = (folder / f"sshd-{machine.home.name}.log").open("w")
            command = (shutil.which("sshd"), "-D", "-e", "-f", folder / "sshd_config")
            stack.enter_context(running(machine.start(*command, stderr=output)))
        yield


@contextmanager
def _by_hand(machines: list[Machine], folder: Path, checkout: Path) -> Iterator[None]:
    """Ray in the foreground of both machines; on one address they share its dashboard and its temporary folder."""
    head, place = machines[0].address, ["--num-cpus=1", "--object-store-memory=200000000", "--block"]
    starts = [
        ["--head", f"--node-ip-address={head}", "--port=6379", f"--dashboard-host={head}", *place],
        [f"--address={head}:6379", f"--node-ip-address={machines[1].address}", *place],
    ]
    with ExitStack() as stack:
        for machine, words in zip(machines, starts, strict=True):
            output = (folder / f"ray-{machine.home.name}.log").open("w")
            line = f". {checkout}/cluster/environment.sh && exec ray start {' '.join(words)}"
            process = machine.start("bash", "-c", line, env=environment(checkout), stdout=output, stderr=output)
            stack.enter_context(running(process))
            time.sleep(20)
        yield
