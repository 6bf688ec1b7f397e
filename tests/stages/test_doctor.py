import importlib.metadata
import shutil

import pytest

from tests.datasets import tiny_sets
from tests.stages.conftest import MARKET


def ended(project, *words):
    with pytest.raises(SystemExit) as end:
        project.run("doctor", *words)
    return end.value.code


def test_a_machine_that_has_everything_is_ready(fresh, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**11, 0, 10**11))
    assert ended(fresh) == 0
    said = capsys.readouterr().out
    assert "missing" not in said
    for word in ("python 3", "torch 2", "ray 2", "100 GB free here"):
        assert word in said
    assert "GPUs: " in said or "no GPU: trainings run on the cores" in said


def test_what_a_machine_lacks_is_named_all_of_it(fresh, capsys, monkeypatch):
    version = importlib.metadata.version

    def absent(package):
        if package in ("ray", "numba"):
            raise importlib.metadata.PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr("stages.doctor.version", absent)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**11, 0, 10**9))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert ended(fresh) == 1
    missing = [line for line in capsys.readouterr().out.splitlines() if line.startswith("missing: ")]
    assert missing == [
        "missing: ray is not installed: make setup",
        "missing: numba is not installed: make setup",
        "missing: at least 5 GB should be free here",
        "missing: git is not installed",
    ]


def test_data_with_several_splits_is_looked_at_by_the_first(fresh, capsys, monkeypatch):
    folder = tiny_sets.regdb(fresh.folder.parent)
    monkeypatch.setenv("REID_DATA_REGDB", str(folder))
    fresh.add("data", regdb={**MARKET, "reader": {"kind": "regdb"}, "published_counts": False, "splits": 2})
    assert ended(fresh, "regdb") == 0
    assert capsys.readouterr().out.startswith("regdb: 0 errors")
    (folder / "idx" / "test_thermal_1.txt").unlink()
    assert ended(fresh, "regdb") == 1
    assert "idx/test_thermal_1.txt" in capsys.readouterr().out
    assert not (fresh.folder / "data" / "prepared" / "regdb").exists()


def test_unknown_data_are_answered_with_the_nearest(fresh):
    assert ended(fresh, "markt") == "error: params.yaml has no data.markt; did you mean market?"
