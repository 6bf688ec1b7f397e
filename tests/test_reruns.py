"""What DVC runs anew after an edit, seen with DVC itself and stages that do nothing."""

import os
import re
import subprocess
import sys

import front_door
import pytest

CROSS_MODAL = {"train@base", "train@agw", "train@smmd"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of this project whose default run, of dummies, is up to date."""
    folder = tmp_path_factory.mktemp("project")
    front_door.copy_with_dummies(folder)
    assert len(run_anew(folder)) > 20
    return folder


def run_anew(folder):
    """Returns the stages that ``dvc repro`` runs."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"],
        check=False, cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(r"^Running stage '(.+)':", done.stdout, flags=re.MULTILINE))


def append(file, text="\n# edited\n"):
    file.write_text(file.read_text() + text)


def test_editing_a_table_or_words_trains_nothing(project):
    append(project / "pipeline" / "methods" / "mdpr" / "about.py")
    assert run_anew(project) == set()
    append(project / "pipeline" / "tables" / "render.py")
    assert run_anew(project) == {"tables", "report"}


def test_editing_one_papers_folder_runs_its_own_trainings_and_evaluations_alone(project):
    append(project / "pipeline" / "methods" / "smmd" / "losses.py")
    evaluated = {name.replace("train", "evaluate") for name in CROSS_MODAL}
    assert run_anew(project) == {*CROSS_MODAL, *evaluated, "report"}


def test_a_change_of_a_recipe_runs_exactly_what_is_made_of_it(project):
    file = project / "params.yaml"
    before = file.read_text()
    file.write_text(before.replace("epochs_8: {training: {epochs: 8}}", "epochs_8: {training: {epochs: 9}}"))
    assert file.read_text() != before
    assert run_anew(project) == {"resolve", *CROSS_MODAL}


def test_the_registry_of_methods_and_the_order_of_keys_run_nothing(project):
    append(project / "pipeline" / "methods" / "registry.py")
    file = project / "params.yaml"
    before = file.read_text()
    file.write_text(before.replace("base: {recipe: base, short: epochs_8,", "base: {short: epochs_8, recipe: base,"))
    assert file.read_text() != before
    assert run_anew(project) == {"resolve", "report"}
