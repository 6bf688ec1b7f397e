import os

import pytest
import yaml

from pipeline import config, experiments
from pipeline.datasets import recognition
from stages import start
from tests.datasets import tiny_sets
from tests.noise import BASELINE

PERSONS = ("anna", "ben", "carla", "dora", "emil", "fay")


@pytest.fixture
def project(fresh):
    """A project whose params.yaml is written by hand, with comments."""
    tree = {**fresh.params, "studies": {**fresh.params["studies"], "data": {"old": {"like": "market"}}}}
    papers = "  papers:  # of papers\n    bot: {recipe: baseline, paper: baseline, data: noise}\n"
    text = yaml.safe_dump(tree, sort_keys=False).replace("  papers: {}\n", papers)
    (fresh.folder / "params.yaml").write_text("# by hand\n" + text)
    return fresh


def people(folder, pattern):
    for person in PERSONS:
        for camera in (1, 2):
            for shot in (1, 2):
                tiny_sets.image(folder / pattern.format(person=person, camera=camera, shot=shot), (16, 32))
    return folder


def params(project):
    return config.load(project.folder / "params.yaml")


def test_a_folder_is_looked_at_declared_and_can_be_prepared(project, tmp_path, capsys):
    folder = people(tmp_path / "My Crops", "{person}/door_c{camera}_{shot}.jpg")
    before = params(project)
    project.run("start", str(folder))
    said = capsys.readouterr().out
    assert "My Crops: a folder for each person\n  6 persons, 24 images: anna, ben, carla, dora, emil, ...\n" in said
    assert r"2 cameras, told by _c(\d+): 1, 2. anna/door_c1_1.jpg is by 1" in said
    assert "12 images of 3 persons to train on: 100 epochs of 1 step" in said
    assert "that is little to learn from: of 3 persons" in said
    assert said.endswith("  reid train baseline_my_crops\n  reid evaluate baseline_my_crops\n")
    after = params(project)
    assert experiments.resolve_data(after, "my_crops")["reader"]["camera"] == r"_c(\d+)"
    block = experiments.resolve_experiment(after, "baseline_my_crops")
    assert block["training"] == {**BASELINE["training"], "epochs": 100, "warmup_steps": {"share": 0.1}}
    del after["studies"]["data"]["my_crops"], after["studies"]["papers"]["baseline_my_crops"]
    assert after == before
    assert (project.folder / "params.yaml").read_text().startswith("# by hand\n")
    project.run("prepare", "my_crops")
    assert "my_crops: 0 errors, 0 warnings\n  train: 12 images, 3 identities, 2 cameras" in capsys.readouterr().out


def test_a_folder_of_cameras_is_no_folder_of_persons_but_a_table(project, tmp_path, capsys):
    folder = people(tmp_path / "site", "cam{camera}/{person}/{shot}.jpg")
    project.run("start", str(folder), "--name", "office")
    assert "2 cameras, told by their folders or names: cam1 as 1, cam2 as 2. cam1/anna/1.jpg" in capsys.readouterr().out
    project.run("prepare", "office")
    assert "train: 12 images, 3 identities, 2 cameras" in capsys.readouterr().out


def test_a_kind_can_be_said_of_every_kind_there_is():
    assert start.KINDS == recognition.KINDS


def test_to_look_writes_nothing(project, tmp_path, capsys):
    folder = people(tmp_path / "site", "{person}_{camera}/{shot}.jpg")
    before = sorted(os.walk(project.folder)), (project.folder / "params.yaml").read_text()
    project.run("start", str(folder), "--look")
    assert "12 persons, 24 images" in capsys.readouterr().out
    assert (sorted(os.walk(project.folder)), (project.folder / "params.yaml").read_text()) == before


@pytest.mark.parametrize(
    ("pattern", "words", "message"),
    [
        ("{person}/{shot}.jpg", ["--name", "old"], "params.yaml declares old already: choose another --name"),
        ("{person}/{shot}.jpg", ["--name", "noise"], "params.yaml declares noise already"),
        ("{person}{camera}{shot}.jpg", [], "nothing tells who is on its 24 images"),
        ("p{camera}/{person}{shot}.jpg", [], "too little to learn from: expected 2 persons to train on, got 1"),
    ],
)
def test_what_can_not_be_declared_leaves_everything_as_it_was(project, tmp_path, refused, pattern, words, message):
    folder = people(tmp_path / "site", pattern)
    before = (project.folder / "params.yaml").read_text()
    assert message in refused(project, "start", str(folder), *words)
    assert (project.folder / "params.yaml").read_text() == before
    assert not (project.folder / "data" / "raw" / "site").exists()
    assert folder.is_dir()


def test_a_folder_that_lies_in_its_place_stays_there_whatever_happens(project, refused, capsys):
    folder = people(project.folder / "data" / "raw" / "site", "{person}/{shot}.jpg")
    (folder / "images").symlink_to(folder / "anna")
    tree = yaml.safe_dump(params(project), default_flow_style=True)
    (project.folder / "params.yaml").write_text(tree)
    refused(project, "start", "data/raw/site")
    assert len(list(folder.rglob("*.jpg"))) == 12
    assert (folder / "images").is_symlink()
    (folder / "images").unlink()
    project.write()
    project.run("start", "data/raw/site", "--look")
    assert not folder.is_symlink()


def test_a_place_that_is_taken_is_named_and_a_file_that_is_written_otherwise_gets_the_lines_to_add(
    project, tmp_path, refused
):
    folder = people(tmp_path / "site", "{person}/{shot}.jpg")
    (project.folder / "data" / "raw" / "site").mkdir(parents=True)
    assert "data/raw/site: 1 problem\n  lies there already" in refused(project, "start", str(folder))
    tree = yaml.safe_dump(params(project), default_flow_style=True)
    (project.folder / "params.yaml").write_text(tree)
    told = refused(project, "start", str(folder), "--name", "other")
    assert "can't add to studies.data as it is written; add this there:\n    other:\n" in told
    assert not (project.folder / "data" / "raw" / "other").exists()
    assert (project.folder / "params.yaml").read_text() == tree
