from pipeline.scoring import progress
from pipeline.scoring.progress import Said


def at(monkeypatch, seconds):
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds)


def test_long_work_says_how_far_it_is_and_how_long_it_takes(monkeypatch, capsys):
    at(monkeypatch, 100.0)
    said = Said("ranking")
    for seconds, done in ((102.0, 1), (106.0, 2), (107.0, 3), (112.0, 6), (130.0, 8)):
        at(monkeypatch, seconds)
        said(done, 8)
    assert capsys.readouterr().err.splitlines() == ["ranking: 25%, 18 s left", "ranking: 75%, 4 s left"]


def test_short_work_is_silent(capsys):
    said = Said("ranking")
    for done in range(1, 9):
        said(done, 8)
    assert capsys.readouterr().err == ""
