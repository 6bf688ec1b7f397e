import json

import numpy as np
import pytest
import torch

from pipeline.batches.loading import Batch
from pipeline.images.store import ImageStore
from pipeline.images.table import fingerprint, write
from pipeline.methods.mskd.losses import centroids
from pipeline.methods.mskd.method import MSKD, MSKDParams
from pipeline.training import checkpoint
from pipeline.training.cluster_labels import write_labels
from pipeline.training.experiment import describe, run
from pipeline.training.groups import batch_statistics_of
from pipeline.training.workers import Workers
from tests.noise import MSKD as BLOCK
from tests.noise import changed, write_store

SETTINGS = BLOCK["settings"]
STUDENT = {"teacher": "teacher", "mimicry_weight": 1.0, "mimicked": "all", "teacher_statistics": "batch"}
FIRST_PASS = {"clusters": None, "iterations": 8, "momentum": 1.0}
IMAGES = torch.randn(40, 3, 64, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
GIVEN = np.where(np.arange(40) < 32, 0, -1)  # 32 images to train on; the rest are for tests
CAMERAS = np.arange(40) % 3
NO_INFRARED = np.zeros(40, dtype=bool)


def build(seed=0, **changes):
    """A method before its first epoch, whose teacher, if any, is another network."""
    params = MSKDParams.model_validate(changed(SETTINGS, **changes))
    method = MSKD(params, num_classes=1, height=64, width=32, seed=seed).double()
    if method.teacher is not None:
        other = MSKD(params, num_classes=1, height=64, width=32, seed=seed + 1)
        method.teacher.load_state_dict(other.network.state_dict())
    method.begin_training(CAMERAS, NO_INFRARED, {})
    return method.train()


@torch.no_grad()
def embed_all(embedder):
    """What the loop embeds by: the images to train on, in evaluation mode, each layer's mode put back."""
    modes = [(layer, layer.training) for layer in embedder.modules()]
    features = embedder.eval()(IMAGES[GIVEN >= 0], torch.zeros(32, dtype=torch.bool))
    for layer, mode in modes:
        layer.training = mode
    return features


def with_clusters(monkeypatch, labels):
    monkeypatch.setattr("pipeline.methods.mskd.method.find_clusters", lambda views, cameras, **_: np.array(labels))


def gradient_of(method):
    """The loss of eight images of four clusters, and its whole gradient."""
    labels = torch.arange(4).repeat_interleave(2)
    memories = torch.randn(method.memories.shape[0], 5, 64, generator=torch.Generator().manual_seed(1))
    method.memories = torch.nn.functional.normalize(memories.double(), dim=2)
    output = method(Batch(IMAGES[:8], labels, torch.zeros(8, dtype=torch.bool), torch.arange(8)))
    output.loss.backward()
    gradients = [weight.grad for weight in method.network.parameters() if weight.grad is not None]
    return torch.cat([output.loss.detach().view(1), *(gradient.flatten() for gradient in gradients)])


LOSS_SWITCHES = {
    "temperature": ({}, {"temperature": 0.1}),
    "lambda2": ({}, {"local_weight": 0.1}),
    "local views in clustering only": ({}, {"local_weight": 0.0}),
    "no local views": ({}, {"stripes": 0, "local_weight": 0.0, "clustering__local_weight": 0.0}),
    "three stripes": ({}, {"stripes": 3}),
    "student": ({}, {"student": STUDENT}),
    "mu": ({"student": STUDENT}, {"student": STUDENT | {"mimicry_weight": 0.5}}),
    "global view mimicked alone": ({"student": STUDENT}, {"student": STUDENT | {"mimicked": "global"}}),
    "teacher by running statistics": ({"student": STUDENT}, {"student": STUDENT | {"teacher_statistics": "running"}}),
}


@pytest.mark.parametrize(("before", "after"), LOSS_SWITCHES.values(), ids=LOSS_SWITCHES)
def test_each_switch_of_the_loss_changes_it_or_its_gradient(before, after):
    one, other = gradient_of(build(**before)), gradient_of(build(**after))
    assert one.shape != other.shape or not torch.equal(one, other)


def test_a_teacher_whose_mimicry_weighs_nothing_changes_nothing():
    assert torch.equal(gradient_of(build()), gradient_of(build(student=STUDENT | {"mimicry_weight": 0.0})))


CLUSTER_SWITCHES = {
    "lambda1": {"clustering__local_weight": 0.3},
    "k1": {"clustering__k1": 4},
    "k2": {"clustering__k2": 1},
    "eps": {"clustering__eps": 0.5},
    "min_samples": {"clustering__min_samples": 4},
    "centring": {"clustering__center_cameras": True},
}


@pytest.mark.parametrize("change", CLUSTER_SWITCHES.values(), ids=CLUSTER_SWITCHES)
def test_each_switch_of_the_clustering_changes_the_clusters(change):
    one, other = (build(**changes).find_labels(embed_all, GIVEN) for changes in ({}, change))
    assert not np.array_equal(one, other)


def test_the_camera_blind_sampler_draws_other_batches_and_the_stamp_says_which(monkeypatch):
    with_clusters(monkeypatch, np.arange(32) // 8)
    drawn = {}
    for first in (True, False):
        method = build(other_cameras_first=first)
        labels = method.begin_epoch(0, embed_all, GIVEN)
        drawn[first] = np.stack(list(method.batches(labels, 0)))
        assert method.cameras == ("batches from other cameras first" if first else "not used")
    assert not np.array_equal(drawn[True], drawn[False])
    both = "batches from other cameras first, clusters after each camera's mean is removed"
    assert build(clustering__center_cameras=True).cameras == both


def test_a_blind_method_gives_the_same_whatever_the_cameras(monkeypatch):
    blind = build(other_cameras_first=False)
    labels = blind.begin_epoch(0, embed_all, GIVEN)
    batches = np.stack(list(blind.batches(labels, 0)))
    blind.begin_training(CAMERAS[::-1].copy(), NO_INFRARED, {})
    assert np.array_equal(blind.begin_epoch(0, embed_all, GIVEN), labels)
    assert np.array_equal(np.stack(list(blind.batches(labels, 0))), batches)


def test_an_epoch_begins_with_a_memory_of_each_cluster_and_noise_is_left_out(monkeypatch):
    found = np.array([*np.repeat([1, 0, -1, 2], 7), *[-1] * 4])
    with_clusters(monkeypatch, found)
    method = build()
    labels = method.begin_epoch(0, embed_all, GIVEN)
    assert np.array_equal(labels, [*found, *[-1] * 8])
    with torch.no_grad():
        views = method.eval().network(IMAGES[:32])
    torch.testing.assert_close(method.memories, centroids(views, torch.from_numpy(found)))
    assert set(np.concatenate([rows.ravel() for rows in method.batches(labels, 0)])) <= set(np.flatnonzero(labels >= 0))


def test_a_step_moves_the_memories_by_the_global_batch_in_its_order(monkeypatch):
    with_clusters(monkeypatch, np.arange(32) // 8)
    method = build()
    method.begin_epoch(0, embed_all, GIVEN)
    before, labels = method.memories.clone(), torch.tensor([2, 0, 2])
    vectors = torch.nn.functional.normalize(torch.randn(3, 3, 64, dtype=torch.float64), dim=2)  # [B, V, D]
    method.after_step(labels, {"features": vectors})
    expected = before.clone()
    for label, views in zip(labels, vectors, strict=True):
        expected[:, label] = torch.nn.functional.normalize(0.1 * expected[:, label] + 0.9 * views, dim=1)
    torch.testing.assert_close(method.memories, expected)


def test_the_first_pass_is_longer_and_its_memory_stands_still(monkeypatch):
    with_clusters(monkeypatch, np.arange(32) // 8)
    method = build(first_pass=FIRST_PASS)
    steps, moved = [], []
    for epoch in range(2):
        method.enter_epoch(epoch)
        labels = method.begin_epoch(epoch, embed_all, GIVEN)
        steps.append(len(list(method.batches(labels, epoch))))
        before = method.memories.clone()
        method.after_step(torch.tensor([1]), {"features": torch.ones(1, 3, 64, dtype=torch.float64)})
        moved.append((method.memories - before).abs().max().item())
    assert steps == [8, 4]
    assert moved[0] < 1e-12 < 0.1 < moved[1]


@pytest.fixture
def given_labels(tmp_path):
    """A cluster stage's labels, by nobody's features."""
    rows = np.flatnonzero(GIVEN >= 0)
    write_labels(tmp_path / "labels.parquet", rows, rows % 4)
    return tmp_path / "labels.parquet"


@pytest.mark.parametrize("student", [None, STUDENT])
def test_given_clusters_are_taken_once_with_the_teachers_features(given_labels, student):
    method = build(student=student, first_pass=FIRST_PASS | {"clusters": "elsewhere"})
    method.begin_training(CAMERAS, NO_INFRARED, {"clusters": given_labels})
    labels = method.begin_epoch(0, embed_all, GIVEN)
    assert np.array_equal(labels[:32], np.arange(32) % 4)
    seen_by = method.teacher if student else method.network
    views = seen_by.eval()(IMAGES[:32]).detach()
    torch.testing.assert_close(method.memories, centroids(views, torch.arange(32) % 4))
    assert not np.array_equal(method.begin_epoch(1, embed_all, GIVEN)[:32], np.arange(32) % 4)


def test_a_student_asks_for_its_teacher_and_the_first_labels_by_their_files():
    params = build(student=STUDENT, first_pass=FIRST_PASS | {"clusters": "artifacts/cluster/teacher"}).params
    files = {"teacher": "teacher/model.safetensors", "clusters": "artifacts/cluster/teacher/labels.parquet"}
    assert MSKD.sources(params) == files
    assert MSKD.sources(build().params) == {}


@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_a_teachers_weights_never_change_and_its_statistics_move_if_it_uses_the_batchs(statistics):
    method = build(student=STUDENT | {"teacher_statistics": statistics})
    before = {name: value.clone() for name, value in method.teacher.state_dict().items()}
    gradient_of(method)
    moved = {name for name, value in method.teacher.state_dict().items() if not torch.equal(value, before[name])}
    assert all(weight.grad is None for weight in method.teacher.parameters())
    assert bool(moved) == (statistics == "batch")
    assert all("running" in name or "num_batches" in name for name in moved)


def test_a_teachers_statistics_follow_the_first_group_as_its_students_do():
    method = build(student=STUDENT)
    before = {name: value.clone() for name, value in method.teacher.state_dict().items()}
    with batch_statistics_of([1], method):
        gradient_of(method)
    assert all(torch.equal(value, before[name]) for name, value in method.teacher.state_dict().items())


DEGENERATE = {
    "all noise": ([-1] * 32, "epoch 3: all 32 images are noise, so there is nothing to contrast: raise clustering.eps"),
    "one giant cluster": ([0] * 30 + [-1] * 2, "epoch 3: all are in one cluster, or noise, .*: lower clustering.eps"),
}


@pytest.mark.parametrize(("found", "message"), DEGENERATE.values(), ids=DEGENERATE)
def test_an_epoch_with_nothing_to_contrast_stops_the_training_and_says_what_to_do(monkeypatch, found, message):
    with_clusters(monkeypatch, found)
    with pytest.raises(ValueError, match=message):
        build().begin_epoch(2, embed_all, GIVEN)


def test_fewer_clusters_than_a_batch_wants_are_repeated_and_said_to_be(monkeypatch):
    with_clusters(monkeypatch, [0] * 5 + [1] * 3 + [2] * 4 + [-1] * 20)
    method = build()
    labels = method.begin_epoch(0, embed_all, GIVEN)
    assert "a batch wants 4 clusters and repeats some" in method.describe_labels(labels[:32], np.zeros(32, dtype=bool))
    batches = list(method.batches(labels, 0))
    assert [rows.shape for rows in batches] == [(2, 4)] * 4
    assert set(labels[batches[0].ravel()]) == {0, 1, 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stripes": 0}, "local_weight: expected 0 without stripes"),
        ({"stripes": 0, "local_weight": 0.0}, "clustering.local_weight: expected 0 without stripes"),
        ({"clustering__local_weight": 0.6}, "clustering.local_weight: expected at most 1 / 2"),
    ],
)
def test_weights_of_views_that_are_not_there_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_all_views_can_be_compared_at_test_time():
    images, is_infrared = IMAGES[:2], torch.zeros(2, dtype=torch.bool)
    one, all_views = (build(features=features).eval().embedder()(images, is_infrared) for features in ("global", "all"))
    assert (one.shape, all_views.shape) == ((2, 64), (2, 192))
    torch.testing.assert_close(one, all_views[:, :64])


def weights_after_training(folder, runs, rename):
    """Trains on a store whose true identities were renamed; returns what was learned and the history."""
    table = ImageStore(folder).table
    is_training = table["role"] == "train"
    table.loc[is_training, "person_id"] = rename(table.loc[is_training, "person_id"].to_numpy())
    write(table, folder / "table.parquet")
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"fingerprint": fingerprint(table)}))
    job = describe("blind", BLOCK, MSKD, folder, runs)
    history = run(job, lambda metrics: None, torch.device("cpu"))
    return checkpoint.latest(job.run_folder).model(), history


def test_true_identities_are_reported_on_and_never_reach_the_training(tmp_path):
    renamings = {
        "true": lambda ids: ids,
        "permuted": lambda ids: np.random.default_rng(0).permutation(ids),
        "absent": np.ones_like,
    }
    learned = {
        name: weights_after_training(write_store(tmp_path / name), tmp_path / f"runs-{name}", rename)
        for name, rename in renamings.items()
    }
    (truth, history), *others = learned.values()
    assert 0 < history[0]["ari"] <= 1
    for weights, other in others:
        assert all(torch.equal(value, truth[name]) for name, value in weights.items())
        assert [row["loss"] for row in other] == [row["loss"] for row in history]
        assert other[0]["ari"] != history[0]["ari"]


def test_workers_other_than_the_first_take_its_clusters(monkeypatch):
    """A worker that is told the answer neither clusters nor differs."""
    with_clusters(monkeypatch, np.arange(32) // 8)
    first = build()
    labels = first.begin_epoch(0, embed_all, GIVEN)
    answer = labels[:32].copy(), first.memories.clone()
    monkeypatch.setattr(Workers, "run_on_first", lambda workers, compute: answer)
    with_clusters(monkeypatch, [-1] * 32)
    other = build()
    assert np.array_equal(other.begin_epoch(0, embed_all, GIVEN), labels)
    assert torch.equal(other.memories, first.memories)
