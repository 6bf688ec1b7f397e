from pipeline import progress
from pipeline.progress import ProgressLine


def at(monkeypatch, seconds):
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds)


def test_long_work_says_how_far_it_is_and_how_long_it_takes(monkeypatch, capsys):
    at(monkeypatch, 100.0)
    line = ProgressLine("ranking")
    for seconds, done in ((102.0, 1), (106.0, 2), (107.0, 3), (112.0, 6), (130.0, 8)):
        at(monkeypatch, seconds)
        line(done, 8)
    assert capsys.readouterr().err.splitlines() == ["ranking: 2 of 8, 18 s left", "ranking: 6 of 8, 4 s left"]


def test_short_work_is_silent(capsys):
    line = ProgressLine("ranking")
    for done in range(1, 9):
        line(done, 8)
    assert capsys.readouterr().err == ""
