"""The study's runner on a real DVC project of four stages that do next to nothing."""

import subprocess
import sys

import pytest

from stages import study

DVC = """
stages:
  train:
    foreach: [mdpr, mdpr_seed2]
    do:
      wdir: ..
      cmd: python -m stages.train ${item}
      params:
        - params.yaml:
          - experiments.${item}
      outs:
        - ${item}.txt
  study:
    wdir: ..
    cmd: python -m stages.tables --out artifacts/study --seeds 2 -- mdpr
    deps:
      - mdpr.txt
      - mdpr_seed2.txt
    outs:
      - study.txt
"""
TRAIN = """
import sys
from pathlib import Path
if Path("broken").exists():
    sys.exit(f"{sys.argv[1]} broke")
Path(f"{sys.argv[1]}.txt").write_text("done")
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with two trainings and a table of them, of whose seconds one experiment's are known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name, text in {
        "studies/dvc.yaml": DVC,
        "studies/seconds.csv": "stage,name,seconds\ntrain,mdpr,120.0\ntables,,30.0\n",
        "params.yaml": "experiments: {mdpr: 1, mdpr_seed2: 2}\n",
        "stages/__init__.py": "",
        "stages/train.py": TRAIN,
        "stages/tables.py": "from pathlib import Path\nPath('study.txt').write_text('done')\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    return tmp_path


def run(*, only_plan=False):
    study.run(["studies/dvc.yaml:study"], only_plan=only_plan)


def told(capfd):
    return [line for line in capfd.readouterr().out.splitlines() if line.startswith("study: ")]


def test_it_says_first_what_it_will_run_and_how_long_then_how_much_is_left(project, capfd):
    run()
    first, *others = told(capfd)
    assert first.startswith(
        "study: 3 stages to run, 4 min "
    )  # a seed takes what its experiment takes: 120 + 120 + 30 s
    assert [line.split(",")[0] for line in others] == [f"study: stage {number} of 3" for number in (1, 2, 3)]
    assert others[0].endswith("4 min left")
    assert (project / "study.txt").read_text() == "done"


def test_a_plan_runs_nothing(project, capfd):
    run(only_plan=True)
    assert "   120 s  train mdpr_seed2" in capfd.readouterr().out
    assert not (project / "mdpr.txt").exists()


def test_what_depends_on_a_changed_stage_is_part_of_the_plan(project, capfd):
    run()
    (project / "params.yaml").write_text("experiments: {mdpr: 1, mdpr_seed2: 3}\n")
    capfd.readouterr()
    run(only_plan=True)
    assert [line.split()[2:] for line in capfd.readouterr().out.splitlines()[1:]] == [
        ["tables"],
        ["train", "mdpr_seed2"],
    ]


def test_a_study_that_was_stopped_goes_on_with_what_is_left(project, capfd):
    run()
    (project / "params.yaml").write_text("experiments: {mdpr: 1, mdpr_seed2: 3}\n")
    (project / "broken").touch()
    with pytest.raises(ValueError, match=r"the study stopped .* goes on from there"):
        run()
    told(capfd)
    (project / "broken").unlink()
    run()
    assert "study: stage 1 of 2" in told(capfd)[1]
    run()
    assert told(capfd) == ["study: everything is up to date"]


def test_seconds_measured_here_count_before_those_that_were_recorded(project):
    known = study.read_known()
    assert known[("train", "mdpr")] == 120.0
    measured = project / ".runs" / "usage"
    measured.mkdir(parents=True)
    (measured / "train mdpr.json").write_text(
        '{"stage": "train", "name": "mdpr", "seconds": 9.0, "peak_memory_megabytes": 1, "processors": 2, "commit": ""}'
    )
    assert study.read_known()[("train", "mdpr")] == 9.0
    study.record()
    assert study.KNOWN.read_text() == "stage,name,seconds\ntrain,mdpr,9.0\n"


@pytest.mark.parametrize(("seconds", "words"), [(12, "12 s"), (60, "1 min"), (3540, "59 min"), (7500, "2 h 05 min")])
def test_durations_are_told_in_words(seconds, words):
    assert study.in_words(seconds) == words
