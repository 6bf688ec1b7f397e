"""Two machines to start a cluster on: this one, split by namespaces, or where that is not allowed, this one twice."""

import contextlib
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ADDRESSES = ("10.77.0.1", "10.77.0.2")
NAMES = ("reid-head", "reid-worker")
NAMESPACES = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--uts"]
INIT = """
set -e
hostname {name}
mkdir -p /tmp/ray /run/sshd
mount -t tmpfs none /tmp/ray
mount --bind {folder}/hosts /etc/hosts
mount --bind {folder}/passwd /etc/passwd
ip link set lo up
echo ready
while true; do sleep 1000; done
"""


@dataclass(frozen=True)
class Machine:
    """A machine with an ``address``; a command runs on it when ``enter`` precedes it. ``home`` is its user's."""

    address: str
    home: Path
    enter: tuple[str, ...] = ()

    def start(self, *command, **options) -> subprocess.Popen:
        return subprocess.Popen([*self.enter, *map(str, command)], stdin=subprocess.DEVNULL, **options)

    def run(self, *command, **options) -> str:
        """Returns what a command prints; what it says on stderr is shown if it fails."""
        told = subprocess.run([*self.enter, *map(str, command)], capture_output=True, text=True, check=False, **options)
        assert told.returncode == 0, f"{' '.join(map(str, command))}\n{told.stdout[-4000:]}\n{told.stderr[-4000:]}"
        return told.stdout


def can_be_split() -> bool:
    """Returns whether this user may make namespaces here, and has what it takes to join them by a cable."""
    if not (shutil.which("unshare") and shutil.which("nsenter") and shutil.which("ip")):
        return False
    return subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode == 0


@contextmanager
def two_machines(folder: Path) -> Iterator[list[Machine]]:
    """Two machines joined by a cable, each with its own processes, addresses, name, /tmp/ray and home.

    Their first processes are killed at the end, and with them goes all that runs or is mounted there.
    """
    homes = [folder / name for name in NAMES]
    for home in homes:
        home.mkdir(parents=True)
    if not can_be_split():
        yield [Machine("127.0.0.1", home) for home in homes]
        return
    with ExitStack() as stack:
        first = [stack.enter_context(_namespaces(name, home)) for name, home in zip(NAMES, homes, strict=True)]
        _run("ip", "link", "add", "eth0", "netns", first[0], "type", "veth", "peer", "name", "eth0", "netns", first[1])
        for process, address in zip(first, ADDRESSES, strict=True):
            for step in (["addr", "add", f"{address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
                _run("nsenter", "--target", process, "--net", "ip", *step)
        enters = [("nsenter", "--target", str(process), "--net", "--pid", "--mount", "--uts") for process in first]
        yield [Machine(*machine) for machine in zip(ADDRESSES, homes, enters, strict=True)]


@contextmanager
def _namespaces(name: str, folder: Path) -> Iterator[int]:
    """Yields the number of the first process of a new machine."""
    hosts = "\n".join(["127.0.0.1 localhost", *map(" ".join, zip(ADDRESSES, NAMES, strict=True))])
    (folder / "hosts").write_text(hosts + "\n")
    old = f":{pwd.getpwnam('root').pw_dir}:"
    (folder / "passwd").write_text(Path("/etc/passwd").read_text().replace(old, f":{folder}:", 1))
    script = INIT.format(name=name, folder=folder)
    outer = subprocess.Popen([*NAMESPACES, "bash", "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert outer.stdout is not None
        assert outer.stdout.readline() == "ready\n"
        yield psutil.Process(outer.pid).children()[0].pid
    finally:
        outer.kill()
        outer.wait()


@contextmanager
def running(process: subprocess.Popen) -> Iterator[subprocess.Popen]:
    """Ends a process, with those below it, when the block ends."""
    try:
        yield process
    finally:
        below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        for one in [*below, process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
