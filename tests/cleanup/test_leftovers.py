import os
import subprocess
import sys
import time

import pytest

from pipeline import locking
from pipeline.cleanup.leftovers import (
    QUIET_SECONDS,
    find_ray_sessions,
    find_ray_storage,
    find_records,
    find_runs,
)
from pipeline.locking import exclusive_lock

OLD, NEW = "0123456789abcdef", "fedcba9876543210"


def fill(folder):
    (folder / "epoch-0001").mkdir(parents=True)
    (folder / "epoch-0001" / "model.safetensors").write_bytes(b"x" * 50_000)
    return folder


@pytest.fixture
def runs(tmp_path):
    """Run folders of two trainings and two searches, each by old and by present parameters."""
    for place in (tmp_path, tmp_path / "tune"):
        for digest in (OLD, NEW):
            fill(place / f"mdpr-{digest}")
    return tmp_path


def present(kind, name):
    return [f"{name}-{NEW}"]


def paths(found):
    return [leftover.path for leftover in found]


def test_unfinished_runs_that_go_on_stay_and_others_go(runs):
    found = list(find_runs(runs, present))
    assert paths(found) == [runs / f"mdpr-{OLD}", runs / "tune" / f"mdpr-{OLD}"]
    assert all(leftover.size() >= 50_000 for leftover in found)
    assert all(leftover.remove() >= 50_000 for leftover in found)
    assert list(find_runs(runs, present)) == []
    assert all(place.is_dir() for place in (runs / f"mdpr-{NEW}", runs / "tune" / f"mdpr-{NEW}"))


def test_a_training_that_is_going_on_is_not_listed(runs):
    with exclusive_lock(runs / f"mdpr-{OLD}", "trained"):
        assert paths(find_runs(runs, present)) == [runs / "tune" / f"mdpr-{OLD}"]


def test_a_training_that_goes_on_after_it_was_listed_is_not_removed(runs):
    listed, _ = find_runs(runs, present)
    with exclusive_lock(runs / f"mdpr-{OLD}", "trained"):
        assert listed.remove() is None
    assert listed.path.is_dir()


def test_runs_of_which_nothing_can_be_known_stay(runs, capsys):
    def unknown(kind, name):
        raise ValueError("no weights at artifacts/train/pretrain")

    assert list(find_runs(runs, unknown)) == []
    assert "may go on (no weights at" in capsys.readouterr().err


def test_runs_of_experiments_that_are_gone_go(runs):
    assert len(list(find_runs(runs, lambda kind, name: []))) == 4


def test_rays_storage_goes_but_not_that_of_a_training_that_is_going_on(tmp_path):
    for name in (f"mdpr-{OLD}", f"agw-{OLD}"):
        fill(tmp_path / "ray" / name)
    with exclusive_lock(tmp_path / f"agw-{OLD}", "trained"):
        assert paths(find_ray_storage(tmp_path)) == [tmp_path / "ray" / f"mdpr-{OLD}"]


def make_session(folder, pid, seconds_ago):
    session = fill(folder / f"session_2026-01-01_10-00-00_000001_{pid}")
    for path in (*session.rglob("*"), session):
        os.utime(path, (time.time() - seconds_ago,) * 2)
    return session


def test_sessions_of_ray_that_no_process_uses_go(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    long_ago = 2 * QUIET_SECONDS
    dead = make_session(tmp_path, ended.pid, long_ago)
    make_session(tmp_path, os.getpid(), long_ago)  # its driver lives
    make_session(tmp_path / "quiet", ended.pid, QUIET_SECONDS / 2)  # written to a while ago
    (tmp_path / "session_latest").symlink_to(dead)
    assert paths(find_ray_sessions(tmp_path)) == [dead]
    assert list(find_ray_sessions(tmp_path / "quiet")) == []
    named = subprocess.Popen([sys.executable, "-c", "input()", f"--session-dir={dead}"], stdin=subprocess.PIPE)
    try:
        assert list(find_ray_sessions(tmp_path)) == []
    finally:
        named.communicate(b"\n")


def test_records_of_what_is_gone_go_and_runs_that_wait_to_be_sent_stay(tmp_path):
    waiting, lost, living = (tmp_path / "tracking" / name for name in ("1-1", "2-2", "3-3"))
    for folder in (waiting, lost, living):
        folder.mkdir(parents=True)
        (folder / "train-1.jsonl").touch()
    (waiting / "pipeline.json").write_text("{}")
    (tmp_path / "usage").mkdir()
    for name in ("train mdpr", "train agw@people", "train gone", "tables"):
        (tmp_path / "usage" / f"{name}.json").write_text("{}")
    for name in ("mdpr", "gone"):
        (tmp_path / "finished" / "artifacts" / "train" / name).mkdir(parents=True)
    gone = [tmp_path / "usage" / "train gone.json", tmp_path / "finished" / "artifacts" / "train" / "gone"]
    held = locking.hold(living / "train-1.jsonl")
    try:
        assert paths(find_records(tmp_path, {"mdpr", "people"})) == [lost, *gone]
    finally:
        held.release()
