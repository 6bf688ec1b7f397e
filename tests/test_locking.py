import threading
from pathlib import Path

import pytest

from pipeline import locking
from pipeline.locking import exclusive_lock


def test_a_lock_is_given_to_one_process_only(tmp_path: Path) -> None:
    held = locking.hold(tmp_path / "lock")
    assert held is not None
    assert locking.hold(tmp_path / "lock") is None
    held.release()
    assert locking.hold(tmp_path / "lock") is not None


def test_who_would_work_in_a_folder_that_another_process_works_in_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "PATIENCE_SECONDS", 0.0)
    refused = pytest.raises(ValueError, match="run is being trained by another process: wait for it, or stop it")
    with (
        exclusive_lock(tmp_path / "run", "trained"),
        refused,
        exclusive_lock(tmp_path / "run", "trained"),
    ):
        pass
    with exclusive_lock(tmp_path / "run", "trained"):
        pass


def test_a_lock_that_is_held_for_a_moment_stops_nobody(tmp_path: Path) -> None:
    held = locking.hold(tmp_path / "run.lock")
    assert held is not None
    threading.Timer(0.1, held.release).start()
    with exclusive_lock(tmp_path / "run", "trained"):
        assert locking.is_held(tmp_path / "run.lock")
