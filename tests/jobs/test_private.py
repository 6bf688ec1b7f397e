import os
import stat

import pytest

from pipeline.jobs.private import ensure_private_token, is_readable_by_others, session_folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home into which all can look, as everywhere below it."""
    for variable in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE", "TMPDIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("pipeline.jobs.private.Path.parents", property(lambda path: [tmp_path]))
    tmp_path.chmod(0o755)
    return tmp_path


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_token_is_made_that_nobody_else_can_read_and_stays(home):
    ensure_private_token()
    file = home / ".ray" / "auth_token"
    assert (mode(file.parent), mode(file)) == (0o700, 0o600)
    token = file.read_text()
    assert len(token) == 64
    ensure_private_token()
    assert file.read_text() == token


@pytest.mark.parametrize("others", [0o644, 0o640, 0o604])
def test_a_token_that_others_can_read_is_refused(home, monkeypatch, others):
    file = home / "token"
    file.write_text("x")
    file.chmod(others)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    with pytest.raises(ValueError, match=r"token can be read by others.*: end what Ray runs and remove it"):
        ensure_private_token()
    home.chmod(0o700)
    assert not is_readable_by_others(file), "nobody comes to it"
    ensure_private_token()


@pytest.mark.parametrize("variable", [{"RAY_AUTH_TOKEN": "x"}, {"RAY_AUTH_MODE": "disabled"}])
def test_none_is_made_where_none_is_needed(home, monkeypatch, variable):
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    ensure_private_token()
    assert not (home / ".ray").exists()


def test_sessions_lie_in_a_folder_of_this_user_and_this_checkout(home, monkeypatch):
    folders = set()
    for checkout in ("one", "other"):
        (home / checkout).mkdir()
        monkeypatch.chdir(home / checkout)
        folders.add(session_folder())
        assert session_folder() in folders
    assert len(folders) == 2
    assert {mode(folder.parent) for folder in folders} == {0o700}
    assert all(str(os.getuid()) in folder.parent.name for folder in folders)


def test_a_folder_that_somebody_else_has_laid_there_is_refused(home, monkeypatch):
    folder = session_folder().parent
    folder.chmod(0o777)
    with pytest.raises(ValueError, match="is not for this user alone: remove it, or set RAY_TMPDIR"):
        session_folder()
    folder.rmdir()
    (home / "theirs").mkdir(mode=0o700)
    folder.symlink_to(home / "theirs")
    with pytest.raises(ValueError, match="is not for this user alone"):
        session_folder()
