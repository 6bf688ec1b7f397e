import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.backbones import resnet
from pipeline.backbones.weights import WeightsError
from pipeline.images.store import ImageStore
from pipeline.methods.baseline.method import Baseline
from pipeline.training import checkpoint
from pipeline.training.checkpoint import CheckpointError, open_checkpoint
from pipeline.training.experiment import describe, publish, run, training_labels
from pipeline.training.step import PLAIN
from tests.noise import BASELINE, changed, write_store

CPU = torch.device("cpu")


def job(runs, data, block=BASELINE, method=Baseline):
    return describe("small", block, method, data, runs)


def train(job):
    reported = []
    history = run(job, reported.append, CPU)
    return history, reported


@pytest.fixture(scope="module")
def finished(noise, tmp_path_factory):
    """A job, trained to its end, and its history."""
    described = job(tmp_path_factory.mktemp("runs"), noise)
    history, reported = train(described)
    assert reported == history
    return described, history


def test_a_job_learns_and_keeps_what_made_it(finished):
    described, history = finished
    assert [row["epoch"] for row in history] == [1, 2]
    meta = checkpoint.latest(described.run_folder).meta
    assert meta["experiment"] == BASELINE
    assert (meta["name"], meta["num_classes"], meta["image"], meta["start"]) == ("small", 6, [32, 16], "none")
    assert {"data", "code", "commit", "versions"} <= meta.keys()


def test_a_job_can_be_sent_anywhere(noise, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    torch.save({"any": torch.ones(1)}, "weights/file.pth")
    described = job(tmp_path / "runs", noise, changed(BASELINE, start="weights/file.pth"))
    assert described.run_folder.is_absolute()
    assert described.data.is_absolute()
    assert described.start == str(tmp_path / "weights" / "file.pth")


def test_the_run_folder_follows_parameters_data_start_weights_and_code(noise, tmp_path, monkeypatch):
    names = {"as it is": job(tmp_path, noise).run_folder}
    assert job(tmp_path, noise).run_folder == names["as it is"]
    names["parameters"] = job(tmp_path, noise, changed(BASELINE, training__epochs=3)).run_folder
    names["settings"] = job(tmp_path, noise, changed(BASELINE, settings__triplet_margin=0.2)).run_folder
    names["data"] = job(tmp_path, write_store(tmp_path / "other", seed=1)).run_folder
    weights = tmp_path / "start.pth"
    for content in ("one", "two"):
        weights.write_text(content)
        names[f"start {content}"] = job(tmp_path, noise, changed(BASELINE, start=str(weights))).run_folder
    module = ModuleType("pipeline.losses.novel")
    module.__file__ = str(weights)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names["code"] = job(tmp_path, noise).run_folder
    assert len(set(names.values())) == len(names), names


def test_the_run_folder_does_not_follow_the_place_of_the_data(noise, tmp_path):
    assert job(tmp_path, write_store(tmp_path / "moved")).run_folder == job(tmp_path, noise).run_folder


def test_a_job_with_other_parameters_starts_afresh_and_the_same_goes_on(noise, finished):
    described, history = finished
    runs = described.run_folder.parent
    assert train(job(runs, noise)) == (history, [])
    other, reported = train(job(runs, noise, changed(BASELINE, training__learning_rate=2e-3)))
    assert [row["epoch"] for row in reported] == [1, 2]
    assert other[-1]["loss"] != history[-1]["loss"]


def test_a_job_begun_without_recomputation_goes_on_with_it_to_the_same_weights(noise, finished, tmp_path, monkeypatch):
    described, history = finished
    other, passes, compute = job(tmp_path, noise), [], resnet.checkpoint
    monkeypatch.setattr(resnet, "checkpoint", lambda *maps, **how: passes.append(1) or compute(*maps, **how))

    def stop(metrics):
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(other, stop, CPU)
    assert not passes
    again = run(other, [].append, CPU, step=PLAIN.model_copy(update={"recompute": True}))
    assert again[-1]["loss"] == history[-1]["loss"]
    assert passes
    ours, theirs = checkpoint.latest(other.run_folder), checkpoint.latest(described.run_folder)
    assert ours.meta.keys() == theirs.meta.keys()
    assert all(torch.equal(value, theirs.model()[name]) for name, value in ours.model().items())


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (changed(BASELINE, training__epoch=3), r"experiments\.small\.training\.epoch: unknown key"),
        (changed(BASELINE, settings__smooth=0.1), r"experiments\.small\.settings\.smooth: unknown key"),
        (changed(BASELINE, start="weights/none.pth"), r"no weights at /.*weights/none\.pth: put the file there"),
    ],
)
def test_a_job_that_can_not_work_is_refused_before_anything_is_done(noise, tmp_path, block, message):
    with pytest.raises(ValueError, match=message):
        job(tmp_path, noise, block)
    assert list(tmp_path.iterdir()) == []


def test_a_training_starts_from_the_checkpoint_of_another(noise, finished, tmp_path):
    described, history = finished
    publish(described, tmp_path / "published", history, None)
    block = changed(BASELINE, start=str(tmp_path / "published"), training__epochs=1, training__learning_rate=1e-30)
    started = job(tmp_path / "runs", noise, changed(block, training__weight_decay=0.0, training__warmup_steps=0))
    assert started.start == str(tmp_path / "published" / checkpoint.MODEL)
    train(started)
    ours = checkpoint.latest(started.run_folder).model()
    theirs = open_checkpoint(tmp_path / "published").model()
    for name in ("backbone.conv1.weight", "backbone.layer4.1.conv2.weight"):
        assert torch.equal(ours[name], theirs[name].float().double()), name
    assert not torch.equal(ours["classifier.weight"], theirs["classifier.weight"])


def test_a_folder_without_a_checkpoint_is_no_start(noise, tmp_path):
    with pytest.raises(WeightsError, match=rf"no weights at {tmp_path}/{checkpoint.MODEL}"):
        job(tmp_path, noise, changed(BASELINE, start=str(tmp_path)))


def test_a_published_checkpoint_equals_the_last_epoch_and_leaves_the_trainer_out(finished, tmp_path):
    described, history = finished
    publish(described, tmp_path / "out", history, "run-7")
    found, last = open_checkpoint(tmp_path / "out"), checkpoint.latest(described.run_folder)
    assert found.meta == {**last.meta, "tracking_run": "run-7", "files": found.meta["files"]}
    assert found.meta["epoch"] == 2
    ours, theirs = found.model(), last.model()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "history.csv", checkpoint.META, checkpoint.METHOD, checkpoint.MODEL,
    ]  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out" / "history.csv"), pd.DataFrame(history))


def test_nothing_is_published_of_a_job_without_its_last_epoch(finished, tmp_path):
    described, history = finished
    with pytest.raises(CheckpointError, match="no checkpoint of the last epoch, 3"):
        publish(described, tmp_path / "out", [*history, history[-1]], None)
    assert not (tmp_path / "out").exists()


def test_only_training_images_are_labelled_from_zero_on(noise):
    store = ImageStore(noise)
    labels = training_labels(store)
    is_training = (store.table["role"] == "train").to_numpy()
    assert (labels[~is_training] == -1).all()
    assert sorted(set(labels[is_training])) == list(range(6))
    ids = store.table["person_id"].to_numpy()
    assert np.array_equal(labels[is_training], ids[is_training] - 1)
