import pytest

from pipeline.locking import exclusive_lock


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    """A project with an unfinished training that is on, one that is not, and results."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    runs = trained.folder / ".runs"
    for name in ("gone-0123456789abcdef", "busy-0123456789abcdef"):
        (runs / name / "epoch-0001").mkdir(parents=True)
        (runs / name / "epoch-0001" / "model.safetensors").write_bytes(b"x" * 3_000_000)
    return trained


def test_it_lists_and_then_removes_what_is_left_over_and_nothing_else(project, capsys):

    runs, results = project.folder / ".runs", project.folder / "artifacts"
    made = {file: file.read_bytes() for file in results.rglob("*") if file.is_file()}
    with exclusive_lock(runs / "busy-0123456789abcdef", "trained"):
        project.run("tidy")
        listed = capsys.readouterr().out
        assert (runs / "gone-0123456789abcdef").is_dir()
        project.run("tidy", "--remove")
        removed = capsys.readouterr().out
    assert "3.0 MB  .runs/gone-0123456789abcdef: an unfinished training that params.yaml has no more" in listed
    assert "make tidy-now removes it" in listed
    assert "freed" in removed
    assert "busy" not in listed + removed
    assert not (runs / "gone-0123456789abcdef").exists()
    assert (runs / "busy-0123456789abcdef").is_dir()
    assert {file: file.read_bytes() for file in results.rglob("*") if file.is_file()} == made
    project.run("tidy")
    assert "3.0 MB  .runs/busy-0123456789abcdef: " in capsys.readouterr().out  # its training has ended
