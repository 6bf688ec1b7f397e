import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import locking
from pipeline.tracking import spool

HOLD = """
import sys
from pathlib import Path
from pipeline.tracking import spool
held = spool.create(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
"""
WRITE = """
import sys
from pathlib import Path
from pipeline.tracking import spool
for number in range(300):
    spool.append(Path(sys.argv[1]), {"who": sys.argv[2], "number": number, "long": "x" * 2000})
"""
PROJECT = Path(__file__).parents[2]


def test_a_spool_is_held_for_as_long_as_its_process_lives(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
    )
    assert process.stdout
    assert process.stdout.readline() == b"held\n"
    assert locking.is_held(path)
    process.kill()
    process.communicate()
    assert not locking.is_held(path)


def test_lines_of_two_processes_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.touch()
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, str(path), who], cwd=PROJECT) for who in "ab"]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    events, _ = spool.read(path, 0)
    for who in "ab":
        assert [event["number"] for event in events if event["who"] == who] == list(range(300))


def test_reading_goes_on_where_it_stopped_and_waits_for_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}\n{"n"')
    events, offset = spool.read(path, 0)
    assert [event["n"] for event in events] == [1, 2]
    path.write_text('{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    assert spool.read(path, offset)[0] == [{"n": 3}]


def test_a_line_that_was_cut_short_costs_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"n": 1}\n{"n"\n{"n": 3}\n')
    assert [event["n"] for event in spool.read(path, 0)[0]] == [1, 3]
    assert "broken line" in caplog.text
