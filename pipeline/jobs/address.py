"""Whether Ray answers at an address, which Ray itself asks for minutes without a word."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

PATIENCE_SECONDS = 15.0
"""How long an address is asked before it is given up; a head node may be starting."""
ANSWER_SECONDS = 5.0
SILENCE_SECONDS = 40.0
"""How long Ray may not answer while work is under way. It would end this process itself after a minute."""
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How a client of gRPC begins, with settings that are empty."""
SETTINGS = 4
"""The kind of the first frame that a server answers."""
FOUND_BY_RAY = ("auto", "local")


def check_answers(address: str) -> None:
    """Ensures that something that may be Ray answers at an address of ``RAY_ADDRESS``.

    Raises:
        ValueError: when nothing does, or it is no address; it names it.
    """
    if address in FOUND_BY_RAY:
        return
    host, port = parse(address)
    deadline, why = time.monotonic() + PATIENCE_SECONDS, ask(host, port)
    if why:
        print(f"Ray does not answer at RAY_ADDRESS {address} ({why}); trying again", file=sys.stderr, flush=True)
    while why and time.monotonic() < deadline:
        time.sleep(0.5)
        why = ask(host, port)
    if why:
        raise ValueError(
            f"Ray does not answer at RAY_ADDRESS {address} ({why}): start it there (ray start --head), name another "
            "address, or unset RAY_ADDRESS to run on this machine alone"
        )


def parse(address: str) -> tuple[str, int]:
    """Returns host and port of an address.

    Raises:
        ValueError: when it has none.
    """
    scheme, _, rest = address.rpartition("://")
    try:
        parts = urlsplit(f"//{rest}")
        if scheme in ("", "ray") and parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise ValueError(f"RAY_ADDRESS is {address}: expected HOST:PORT, ray://HOST:PORT, auto or local")


def ask(host: str, port: int) -> str:
    """Returns why nothing that may be Ray answers there, or nothing when it does."""
    try:
        with socket.create_connection((host, port), ANSWER_SECONDS) as line:
            if os.environ.get("RAY_USE_TLS", "0") != "0":  # greeted in another way, which is Ray's
                return ""
            line.settimeout(ANSWER_SECONDS)
            line.sendall(GREETING)
            head = line.recv(9)
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return "" if len(head) > 3 and head[3] == SETTINGS else "something that is not Ray answers"


@contextmanager
def watched(address: str) -> Iterator[None]:
    """Within it, this process ends with a sentence when Ray's control process at ``HOST:PORT`` is gone.

    Ray would end it too, later, and with pages of its own.
    """
    host, port = parse(address)
    is_over = threading.Event()

    def watch() -> None:
        heard = time.monotonic()
        while not is_over.wait(ANSWER_SECONDS):
            if not ask(host, port):
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENCE_SECONDS and not is_over.is_set():
                print(
                    f"error: Ray's control process at {address} has not answered for {SILENCE_SECONDS:.0f} s: it was "
                    "killed, or its machine is lost. The same command goes on from the last epoch",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(1)  # work waits in Ray's own code, which no exception reaches

    threading.Thread(target=watch, name="watches Ray", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
