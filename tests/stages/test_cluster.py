import json

import numpy as np
import pandas as pd
import pytest

from pipeline.clustering.quality import measure_quality
from pipeline.images.store import ImageStore
from pipeline.images.table import fingerprint, write
from tests.noise import MSKD, changed

TEACHER = {"recipe": "teacher", "paper": "mskd", "data": "noise"}


@pytest.fixture
def project(fresh):
    """A project with a teacher that was not trained yet."""
    fresh.add("recipes", teacher=changed(MSKD, training__epochs=1))
    fresh.write(experiments={"teacher": TEACHER})
    return fresh


def labels_of(project, name):
    return pd.read_parquet(project.folder / "artifacts" / "cluster" / name / "labels.parquet")


def test_start_weights_become_labels_of_every_training_image_and_their_quality(project, capsys):
    project.run("cluster", "teacher", "--start")
    labels = labels_of(project, "teacher_start")
    store = ImageStore(project.folder / "data" / "prepared" / "noise").table
    rows = np.flatnonzero(store["role"] == "train")
    assert labels.columns.tolist() == ["row", "label", "size"]
    assert labels["row"].tolist() == rows.tolist()
    counts = labels.loc[labels["label"] >= 0, "label"].value_counts()
    assert labels["size"].tolist() == labels["label"].map(counts).fillna(0).astype(int).tolist()

    quality = json.loads((project.folder / "artifacts" / "cluster" / "teacher_start" / "quality.json").read_text())
    truth = store.loc[rows, "person_id"], store.loc[rows, "camera_id"]
    assert quality == measure_quality(labels["label"], identities=truth[0], cameras=truth[1])
    assert capsys.readouterr().out.startswith(f"num_clusters {quality['num_clusters']:.3g}  noise ")


def test_true_identities_move_the_quality_and_no_label(project):
    project.run("cluster", "teacher", "--start")
    before = labels_of(project, "teacher_start")
    data = project.folder / "data" / "prepared" / "noise"
    table = ImageStore(data).table
    is_training = table["role"] == "train"
    table.loc[is_training, "person_id"] = np.random.default_rng(0).permutation(table.loc[is_training, "person_id"])
    write(table, data / "table.parquet")
    meta = json.loads((data / "meta.json").read_text())
    (data / "meta.json").write_text(json.dumps(meta | {"fingerprint": fingerprint(table)}))
    quality = project.folder / "artifacts" / "cluster" / "teacher_start" / "quality.json"
    ari = json.loads(quality.read_text())["ari"]
    project.run("cluster", "teacher", "--start")
    assert labels_of(project, "teacher_start").equals(before)
    assert json.loads(quality.read_text())["ari"] != ari


def test_trained_weights_become_labels_of_their_own(project, refused):
    assert refused(project, "cluster", "teacher").startswith("error: artifacts/train/teacher: no readable meta.json")
    assert not (project.folder / "artifacts" / "cluster").exists()
    project.run("train", "teacher")
    history = pd.read_csv(project.folder / "artifacts" / "train" / "teacher" / "history.csv")
    assert {"num_clusters", "noise", "ari", "nmi", "bcubed_f", "camera_entropy"} <= set(history)
    for words in ([], ["--start"]):
        project.run("cluster", "teacher", *words)
    assert not labels_of(project, "teacher")["label"].equals(labels_of(project, "teacher_start")["label"])


def test_another_seed_is_clustered_in_a_folder_of_its_own(project):
    project.run("cluster", "teacher", "--start", "--seed", "9")
    assert (project.folder / "artifacts" / "runs" / "teacher" / "seed9" / "cluster_start" / "labels.parquet").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("teachr",), "error: params.yaml declares no experiment teachr"),
        (("pretrain", "--start"), "error: Baseline learns from given labels and makes none"),
    ],
)
def test_wrong_names_are_exit_on_user_error(project, refused, words, message):
    assert refused(project, "cluster", *words).startswith(message)
    assert not (project.folder / "artifacts").exists()
