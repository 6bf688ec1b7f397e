import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd

from pipeline.images.store import ImageStore
from pipeline.training.checkpoint import latest, open_checkpoint
from stages import train
from tests.noise import BASELINE, MDPR, changed
from tests.report.conftest import write_training

ROOT = Path(__file__).parents[2]


def test_an_experiment_becomes_a_checkpoint_and_its_history(trained):
    found = open_checkpoint(trained.folder / "artifacts" / "train" / "pretrain")
    assert found.meta["name"] == "pretrain"
    assert found.meta["experiment"] == BASELINE
    assert found.meta["epoch"] == 2
    assert found.meta["tracking_run"] is None
    assert pd.read_csv(found.folder / "history.csv")["epoch"].tolist() == [1, 2]


def test_one_experiment_starts_from_another(trained, capsys):
    mdpr = changed(MDPR, start="artifacts/train/pretrain", training__epochs=1)
    trained.write(experiments={"pretrain": BASELINE, "mdpr": mdpr})
    trained.run(train, "mdpr")
    weights = open_checkpoint(trained.folder / "artifacts" / "train" / "pretrain").meta["files"]["model.safetensors"]
    assert open_checkpoint(trained.folder / "artifacts" / "train" / "mdpr").meta["start"] == weights
    assert "mdpr: epoch 1/1  loss " in capsys.readouterr().err


def test_a_tampered_start_is_refused(fresh, noise, refused):
    write_training(fresh.folder / "artifacts" / "train", ImageStore(noise), "pretrain", BASELINE)
    weights = fresh.folder / "artifacts" / "train" / "pretrain" / "model.safetensors"
    as_saved = weights.read_bytes()
    weights.write_bytes(as_saved[:-8] + bytes([as_saved[-8] ^ 1]) + as_saved[-7:])
    fresh.write(experiments={"mdpr": changed(MDPR, start="artifacts/train/pretrain")})
    assert "pretrain: model.safetensors differs from what was saved" in refused(fresh, train, "mdpr")


def test_a_start_that_was_not_trained_yet_is_named(fresh, refused):
    fresh.write(experiments={"mdpr": changed(MDPR, start="artifacts/train/pretrain")})
    message = refused(fresh, train, "mdpr")
    assert message.startswith(f"error: start: no weights at {fresh.folder}/artifacts/train/pretrain: ")
    assert "train the experiment that makes it" in message


def test_data_that_was_not_prepared_is_named(fresh, refused):
    fresh.write(experiments={"mdpr": changed(MDPR, data="elsewhere")})
    message = refused(fresh, train, "mdpr")
    assert message.startswith("error: data/prepared/elsewhere is not an image store")


def test_nothing_is_begun_with_parameters_that_do_not_fit(fresh, refused):
    fresh.write(experiments={"mdpr": changed(MDPR, settings__part_nun=2)})
    assert "experiments.mdpr.settings.part_nun: unknown key" in refused(fresh, train, "mdpr")
    fresh.write(resources={})
    assert refused(fresh, train, "mdpr").startswith("error: params.yaml has no resources.default")
    fresh.write(experiments={"mdpr": changed(MDPR, method="mdrp")}, resources={"mdpr": {"workers": 0}})
    assert "resources.mdpr.cpus_per_worker: missing" in refused(fresh, train, "mdpr")
    assert not (fresh.folder / ".runs").exists()


def test_a_mistake_that_shows_while_training_is_told_plainly(fresh, refused):
    fresh.write(experiments={"mdpr": changed(MDPR, settings__batch__identities=7)})
    message = refused(fresh, train, "mdpr")
    assert message.startswith("error: a group needs 7 identities, but only 6 are labelled")
    assert not (fresh.folder / "artifacts").exists()


def start_stage(project):
    return subprocess.Popen(
        [sys.executable, "-m", "stages.train", "pretrain"], cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def published(project):
    found = open_checkpoint(project.folder / "artifacts" / "train" / "pretrain")
    return found.meta["files"], pd.read_csv(found.folder / "history.csv").drop(columns="images_per_second")


def test_a_stage_that_is_terminated_saves_ends_with_143_and_goes_on_bit_for_bit(fresh):
    fresh.write(experiments={"pretrain": changed(BASELINE, training__epochs=60)})
    process = start_stage(fresh)
    next(line for line in process.stderr if "epoch 3/60" in line)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 143, said
    assert said.endswith("pretrain: stopped by SIGTERM and saved; the same command goes on from there\n")
    assert not (fresh.folder / "artifacts").exists()
    (run_folder,) = (fresh.folder / ".runs").glob("pretrain-*[!k]")
    assert 3 <= latest(run_folder).meta["epoch"] < 60, "the signal struck while training was under way"

    process = start_stage(fresh)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "pretrain: resumed after epoch " in said
    files, history = published(fresh)

    shutil.rmtree(fresh.folder / "artifacts")
    fresh.run(train, "pretrain")
    expected_files, expected_history = published(fresh)
    assert files == expected_files
    assert history.equals(expected_history)
