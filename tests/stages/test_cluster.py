import json

import numpy as np
import pandas as pd
import pytest

from pipeline.clustering.quality import measure_quality
from pipeline.images.store import ImageStore
from pipeline.images.table import fingerprint, write
from pipeline.training.step import PLAIN
from stages import cluster, train
from tests.noise import BASELINE, MSKD, changed

RESOURCES = {"workers": 0, "cpus_per_worker": 1, "retries": 0, **dict(PLAIN)}
BLOCKS = {
    "experiments": {"pretrain": BASELINE, "teacher": changed(MSKD, training__epochs=1)},
    "cluster": {
        "start": {"experiment": "teacher", "weights": "start"},
        "teacher": {"experiment": "teacher", "weights": "trained"},
    },
    "resources": {"pretrain": RESOURCES, "teacher": RESOURCES},
}


@pytest.fixture
def project(fresh):
    """A project with a teacher that was not trained yet."""
    fresh.write(**BLOCKS)
    return fresh


def labels_of(project, name):
    return pd.read_parquet(project.folder / "artifacts" / "cluster" / name / "labels.parquet")


def test_start_weights_become_labels_of_every_training_image_and_their_quality(project, capsys):
    project.run(cluster, "start")
    labels = labels_of(project, "start")
    store = ImageStore(project.folder / "data" / "prepared" / "noise").table
    rows = np.flatnonzero(store["role"] == "train")
    assert labels.columns.tolist() == ["row", "label", "size"]
    assert labels["row"].tolist() == rows.tolist()
    counts = labels.loc[labels["label"] >= 0, "label"].value_counts()
    assert labels["size"].tolist() == labels["label"].map(counts).fillna(0).astype(int).tolist()

    quality = json.loads((project.folder / "artifacts" / "cluster" / "start" / "quality.json").read_text())
    truth = store.loc[rows, "person_id"], store.loc[rows, "camera_id"]
    assert quality == measure_quality(labels["label"], identities=truth[0], cameras=truth[1])
    assert capsys.readouterr().out.startswith(f"num_clusters {quality['num_clusters']:.3g}  noise ")


def test_true_identities_move_the_quality_and_no_label(project):
    project.run(cluster, "start")
    before = labels_of(project, "start")
    data = project.folder / "data" / "prepared" / "noise"
    table = ImageStore(data).table
    is_training = table["role"] == "train"
    table.loc[is_training, "person_id"] = np.random.default_rng(0).permutation(table.loc[is_training, "person_id"])
    write(table, data / "table.parquet")
    meta = json.loads((data / "meta.json").read_text())
    (data / "meta.json").write_text(json.dumps(meta | {"fingerprint": fingerprint(table)}))
    quality = project.folder / "artifacts" / "cluster" / "start" / "quality.json"
    ari = json.loads(quality.read_text())["ari"]
    project.run(cluster, "start")
    assert labels_of(project, "start").equals(before)
    assert json.loads(quality.read_text())["ari"] != ari


def test_trained_weights_become_labels_of_their_own(project, refused):
    assert refused(project, cluster, "teacher").startswith("error: artifacts/train/teacher: no readable meta.json")
    assert not (project.folder / "artifacts" / "cluster").exists()
    project.run(train, "teacher")
    history = pd.read_csv(project.folder / "artifacts" / "train" / "teacher" / "history.csv")
    assert {"num_clusters", "noise", "ari", "nmi", "bcubed_f", "camera_entropy"} <= set(history)
    for name in BLOCKS["cluster"]:
        project.run(cluster, name)
    assert not labels_of(project, "teacher")["label"].equals(labels_of(project, "start")["label"])


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (None, "error: params.yaml has no cluster.start"),
        ({"experiment": "teacher", "weights": "best"}, "cluster.start.weights"),
        ({"experiment": "elsewhere", "weights": "start"}, "error: params.yaml has no experiments.elsewhere"),
        ({"experiment": "pretrain", "weights": "start"}, "error: Baseline learns from given labels and makes none"),
    ],
)
def test_wrong_names_are_told_plainly(project, refused, block, message):
    project.write(cluster={"start": block} if block else {})
    assert message in refused(project, cluster, "start")
    assert not (project.folder / "artifacts").exists()
