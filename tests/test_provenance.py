import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import provenance

GIT = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty folder that takes itself for the project's root."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setattr(provenance, "ROOT", folder)
    return folder


def commit(folder):
    for name in ("params.yaml", "dvc.lock"):
        (folder / name).write_text("one")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*GIT, *command], cwd=folder, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True).stdout


def asked():
    return provenance.git_commit.__wrapped__()


def test_the_commit_says_whether_what_moves_results_differs(project):
    head = commit(project).strip()
    assert asked() == head
    (project / "notes").write_text("")
    (project / "dvc.lock").write_text("two")
    assert asked() == head
    (project / "params.yaml").write_text("two")
    assert asked() == f"{head}-dirty"


def test_a_tag_does_not_stand_in_for_the_commit(project):
    head = commit(project).strip()
    subprocess.run([*GIT, "tag", "-a", "v1", "-m", "v1"], cwd=project, check=True)
    assert asked() == head


def test_without_git_the_commit_is_unknown(project, monkeypatch):
    assert asked() == "unknown"
    commit(project)
    monkeypatch.setenv("PATH", "")
    assert asked() == "unknown"


def test_a_repository_around_an_unpacked_archive_is_not_taken_for_ours(project):
    commit(project.parent)
    assert asked() == "unknown"


def test_versions_name_what_results_depend_on():
    found = provenance.versions()
    assert found["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert {"torch", "numpy", "ray"} <= found.keys()


def test_a_digest_depends_on_values_and_not_on_the_order_of_keys():
    assert provenance.digest({"a": 1, "b": [1, 2]}) == provenance.digest({"b": [1, 2], "a": 1})
    assert provenance.digest({"a": 1}) != provenance.digest({"a": 1.5})
    assert len(provenance.digest(None)) == 16


def test_a_files_digest_is_the_sha256_of_its_content(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert provenance.file_digest(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


@pytest.fixture
def code(tmp_path, monkeypatch):
    """Returns a function: the digest of the package ``part``, freshly imported from a folder with given sources."""

    def digest(place: str, **sources: str) -> str:
        folder = tmp_path / place / "part"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, source in {"__init__": "", **sources}.items():
            (folder / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(folder.parent)
        for name in [name for name in sys.modules if name.partition(".")[0] == "part"]:
            monkeypatch.delitem(sys.modules, name)
        for name in sources:
            __import__(f"part.{name}")
        return provenance.code_digest("part")

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return digest


def test_a_digest_of_code_follows_its_content_and_not_its_place(code):
    first = code("here", model="x = 1", loss="y = 1")
    assert code("there", model="x = 1", loss="y = 1") == first
    assert code("there", model="x = 2", loss="y = 1") != first
    assert code("there", model="x = 1") != first


def test_code_that_is_not_loaded_is_no_part_of_the_digest(code):
    loaded = code("here", model="x = 1")
    (Path(sys.modules["part"].__file__).parent / "other.py").write_text("z = 1")
    assert provenance.code_digest("part") == loaded
