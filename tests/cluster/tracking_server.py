"""A tracking server on a machine: MLflow on PostgreSQL where both it and its driver are there, else on sqlite."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.cluster.machines import Machine, running

PATIENCE_SECONDS = 600
PORT = 5077


@contextmanager
def tracking_server(machine: Machine, folder: Path, environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yields the server's address and the kind of its database."""
    folder.mkdir()
    with ExitStack() as stack:
        kind, database = "sqlite", f"sqlite:///{folder}/mlflow.db"
        if (programs := _postgres()) and importlib.util.find_spec("psycopg"):
            kind, database = "postgresql", stack.enter_context(_database(machine, folder / "postgres", programs))
        host = f"{machine.address}:{PORT}"
        server = machine.start(
            "mlflow", "server", "--backend-store-uri", database, "--artifacts-destination", folder / "artifacts",
            "--host", machine.address, "--port", PORT, "--allowed-hosts", host, "--workers", 1,
            env=environment, stdout=(folder / "server.log").open("w"), stderr=subprocess.STDOUT,
        )  # fmt: skip
        stack.enter_context(running(server))
        _wait(lambda: machine.run("curl", "-sf", f"http://{host}/health") == "OK", server, folder / "server.log")
        yield f"http://{host}", kind


def _postgres() -> Path | None:
    """Returns the folder of PostgreSQL's programs; Debian keeps them out of the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    places = [*debian, Path(shutil.which("initdb") or "").parent]
    return next((place for place in places if (place / "initdb").is_file() and (place / "postgres").is_file()), None)


@contextmanager
def _database(machine: Machine, folder: Path, programs: Path) -> Iterator[str]:
    """Yields the address of a new database; it listens on a socket in the folder and on nothing else."""
    folder.mkdir()
    become: list[str] = []
    if os.geteuid() == 0:  # which PostgreSQL refuses to be run by
        become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(folder, "postgres")
        for above in folder.parents[:-2]:
            above.chmod(above.stat().st_mode | 0o011)
    machine.run(*become, programs / "initdb", "--auth=trust", "--username=reid", folder / "data", cwd="/")
    server = machine.start(
        *become, programs / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=",
        cwd="/", stdout=(folder.parent / "postgres.log").open("w"), stderr=subprocess.STDOUT,
    )  # fmt: skip
    with running(server):
        ready = [*become, str(programs / "psql"), "-h", str(folder), "-U", "reid", "-c", "select 1", "postgres"]
        _wait(lambda: bool(machine.run(*ready, cwd="/")), server, folder.parent / "postgres.log")
        yield f"postgresql://reid@/postgres?host={folder}"


def _wait(is_ready, process: subprocess.Popen, output: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(AssertionError):
            if is_ready():
                return
        assert process.poll() is None, output.read_text()[-4000:]
        assert time.monotonic() < deadline, output.read_text()[-4000:]
        time.sleep(0.5)
