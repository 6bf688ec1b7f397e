import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from pipeline.tracking import usage
from pipeline.tracking.runs import stage_run

CHILD = "import time; kept = bytearray(b'x') * 300_000_000; print('ready', flush=True); time.sleep(60)"


@pytest.fixture(autouse=True)
def _begun_just_now(monkeypatch):
    """Forgets the most memory that this process ever held, in tests before."""
    monkeypatch.setattr(usage.resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=0))


@pytest.fixture
def tracked(tmp_path, monkeypatch):
    """A project folder in which stages are tracked, but no recorder is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REID_TRACKING")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr("pipeline.tracking.runs.start_recorder", lambda folder: None)
    return tmp_path


def test_memory_of_processes_below_is_counted(monkeypatch):
    monkeypatch.setattr(usage, "SECONDS_BETWEEN_SAMPLES", 0.01)
    alone = usage.Watch().stop()["peak_memory_megabytes"]
    with subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        watch = usage.Watch()
        time.sleep(0.1)
        both = watch.stop()
        child.kill()
    assert both["peak_memory_megabytes"] > alone + 250
    assert both["seconds"] >= 0.1


def test_the_recorder_belongs_to_no_stage(monkeypatch):
    alone = usage.Watch().stop()["peak_memory_megabytes"]
    with subprocess.Popen([sys.executable, "-c", CHILD, usage.RECORDER], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert usage.Watch().stop()["peak_memory_megabytes"] < alone + 250
        child.kill()


def test_the_last_execution_of_a_stage_that_ended_well_is_kept(tracked):
    for name in ("mdpr", "mdpr", "baseline"):
        with stage_run(stage="train", name=name, params={}):
            pass
    with pytest.raises(RuntimeError), stage_run(stage="tables", name="", params={}):
        raise RuntimeError
    kept = usage.read(tracked / ".runs" / "usage")
    assert [(one.stage, one.name) for one in kept] == [("train", "baseline"), ("train", "mdpr")]
    assert all(one.seconds > 0 and one.peak_memory_megabytes > 0 for one in kept)


def test_a_full_disk_costs_the_record_and_not_the_stage(tmp_path, caplog):
    (tmp_path / "usage").write_text("a file where the folder would be")
    usage.write(tmp_path / "usage", usage.Usage("train", "mdpr", 1.0, 2.0, 2, "abc"))
    assert "train mdpr" in caplog.text


def test_what_a_stage_cost_stands_among_the_metrics_of_its_run(tracked):
    with stage_run(stage="evaluate", name="mdpr", params={}) as run:
        pass
    (row,) = run.writer().history()
    assert row["stage/seconds"] > 0
    assert row["stage/peak_memory_megabytes"] > 0
