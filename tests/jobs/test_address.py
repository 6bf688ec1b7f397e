import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.jobs import address
from pipeline.jobs.address import SETTINGS, ask, check_answers, parse

ROOT = Path(__file__).parents[2]
RAY = bytes([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0])


@contextmanager
def server(answer):
    """A port of this machine that answers every line with these bytes; None never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        lines = []

        def serve():
            while True:
                try:
                    lines.append(listening.accept()[0])
                except OSError:
                    return
                if answer is not None:
                    lines[-1].sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        for line in lines:
            line.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(address, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(address, "ANSWER_SECONDS", 0.3)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def test_one_gives_up_within_half_a_minute(monkeypatch):
    monkeypatch.undo()
    assert address.PATIENCE_SECONDS + address.ANSWER_SECONDS < 30


def test_what_greets_as_ray_does_answers():
    with server(RAY) as port:
        check_answers(f"127.0.0.1:{port}")
        check_answers(f"ray://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "no answer"),
        (b"HTTP/1.1 400 Bad Request", "something that is not Ray"),
        (b"220", "something that is not"),
    ],
)
def test_a_port_that_is_silent_or_of_something_else_is_no_ray(answer, why, capsys):
    with (
        server(answer) as port,
        pytest.raises(ValueError, match=rf"at RAY_ADDRESS 127.0.0.1:{port} \({why}.*unset RAY_"),
    ):
        check_answers(f"127.0.0.1:{port}")
    assert "trying again" in capsys.readouterr().err


def test_a_port_where_nobody_listens_is_given_up_soon_and_named():
    begun = time.monotonic()
    port = free_port()
    with pytest.raises(ValueError, match=rf"RAY_ADDRESS 127\.0\.0\.1:{port} \(connection refused\): start it there"):
        check_answers(f"127.0.0.1:{port}")
    assert time.monotonic() - begun < 10


def test_a_head_node_that_is_starting_is_waited_for(monkeypatch):
    answers = iter(["connection refused", "connection refused", ""])
    monkeypatch.setattr(address, "ask", lambda host, port: next(answers))
    check_answers("head:6379")


@pytest.mark.parametrize("text", ["head", "http://head:8265", "head:port", "head:99999", ":6379", "ray://head"])
def test_what_is_no_address_is_said_to_be_none(text):
    with pytest.raises(ValueError, match=f"RAY_ADDRESS is {text}: expected HOST:PORT"):
        check_answers(text)


def test_addresses_are_taken_apart_and_words_of_ray_are_left_to_it():
    assert parse("10.0.0.1:6379") == ("10.0.0.1", 6379)
    assert parse("ray://head:10001") == ("head", 10001)
    assert parse("[::1]:6379") == ("::1", 6379)
    check_answers("auto")
    check_answers("local")


WATCH = """
import sys, time
from pipeline.jobs import address
address.ANSWER_SECONDS, address.SILENCE_SECONDS = 0.1, float(sys.argv[2])
with address.watched(sys.argv[1]):
    time.sleep(float(sys.argv[3]))
print("ended by itself")
"""


def watch(port, silence, lasts):
    return subprocess.run(
        [sys.executable, "-c", WATCH, f"127.0.0.1:{port}", str(silence), str(lasts)],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_work_whose_ray_is_gone_ends_with_a_sentence():
    answer = watch(free_port(), silence=0.5, lasts=100)
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert "control process at 127.0.0.1" in answer.stderr
    assert "The same command goes on from the last epoch" in answer.stderr


def test_work_whose_ray_answers_or_is_away_for_a_moment_is_left_alone():
    with server(RAY) as port:
        assert watch(port, silence=0.5, lasts=1.5).stdout == "ended by itself\n"
    assert watch(free_port(), silence=60, lasts=1).stdout == "ended by itself\n"


def test_a_real_server_of_grpc_is_taken_for_one_that_may_be_ray():
    grpc = pytest.importorskip("grpc")
    from concurrent.futures import ThreadPoolExecutor

    running = grpc.server(ThreadPoolExecutor(1))
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    assert ask("127.0.0.1", port) == ""
    running.stop(None)
