import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipeline.images.store import ImageStore
from pipeline.training.checkpoint import latest, open_checkpoint
from tests.datasets import tiny_sets
from tests.noise import BASELINE, MDPR, changed
from tests.report.conftest import write_training
from tests.stages.conftest import MARKET

ROOT = Path(__file__).parents[2]
START = {"mdpr": changed(MDPR, start="pretrain")}


def test_an_experiment_becomes_a_checkpoint_and_its_history(trained):
    found = open_checkpoint(trained.folder / "artifacts" / "train" / "pretrain")
    assert found.meta["name"] == "pretrain"
    assert found.meta["experiment"] == BASELINE
    assert found.meta["epoch"] == 2
    assert found.meta["tracking_run"] is None
    assert pd.read_csv(found.folder / "history.csv")["epoch"].tolist() == [1, 2]


def test_one_experiment_starts_from_another(trained, capsys):
    trained.add("recipes", mdpr=changed(START["mdpr"], training__epochs=1))
    trained.run("train", "mdpr")
    weights = open_checkpoint(trained.folder / "artifacts" / "train" / "pretrain").meta["files"]["model.safetensors"]
    found = open_checkpoint(trained.folder / "artifacts" / "train" / "mdpr")
    assert found.meta["start"] == weights
    assert found.meta["experiment"]["start"] == "artifacts/train/pretrain"
    assert "mdpr: epoch 1/1  loss " in capsys.readouterr().err


def test_a_recipe_and_data_need_no_declared_experiment(fresh):
    one = changed(BASELINE, training__epochs=1)
    short = {"training": {"epochs": 1}}
    fresh.write(starts={}, experiments={}, students={}, recipes={"baseline": BASELINE, "short": short})
    fresh.run("train", "baseline+short@noise")
    found = open_checkpoint(fresh.folder / "artifacts" / "runs" / "baseline+short@noise" / "seed3" / "train")
    assert (found.meta["name"], found.meta["experiment"]) == ("baseline+short@noise", one)
    assert not (fresh.folder / "artifacts" / "train").exists()


def test_params_without_experiments_and_studies_are_enough_for_a_recipe_and_data(fresh):
    kept = ("data", "recipes", "resources")
    fresh.params = {key: fresh.params[key] for key in kept}
    fresh.add("recipes", baseline=changed(BASELINE, training__epochs=1))
    fresh.run("train", "baseline@noise")
    assert (fresh.folder / "artifacts" / "runs" / "baseline@noise" / "seed3" / "train" / "meta.json").is_file()


def test_another_seed_is_trained_apart_from_the_experiments_own(fresh):
    fresh.add("recipes", baseline=changed(BASELINE, training__epochs=1))
    fresh.run("train", "pretrain", "--seed", "8")
    found = open_checkpoint(fresh.folder / "artifacts" / "runs" / "pretrain" / "seed8" / "train")
    assert found.meta["experiment"] == changed(BASELINE, seed=8, training__epochs=1)
    assert not (fresh.folder / "artifacts" / "train").exists()
    fresh.run("train", "pretrain", "--seed", "3")
    assert (fresh.folder / "artifacts" / "train" / "pretrain" / "meta.json").is_file(), "its own seed is its own"


@pytest.fixture
def split(fresh, monkeypatch):
    """A project with a data set that is split in two ways, prepared, and a short recipe."""
    monkeypatch.setenv("REID_DATA_REGDB", str(tiny_sets.regdb(fresh.folder.parent)))
    fresh.add("data", regdb=MARKET | {"reader": {"kind": "regdb"}, "published_counts": False, "splits": 2})
    fresh.add("recipes", baseline=changed(BASELINE, training__epochs=1, settings__batch__groups=1))
    fresh.run("prepare", "regdb")
    return fresh


def test_each_split_is_trained_on_its_own_images_in_a_folder_of_its_own(split, refused):
    for words in ([], ["--split", "2"]):
        split.run("train", "baseline@regdb", *words)
    runs = split.folder / "artifacts" / "runs" / "baseline@regdb"
    assert sorted(folder.name for folder in runs.iterdir()) == ["seed3-split1", "seed3-split2"]
    for number in (1, 2):
        meta = open_checkpoint(runs / f"seed3-split{number}" / "train").meta
        data = ImageStore(split.folder / "data" / "prepared" / "regdb" / str(number))
        assert (meta["experiment"]["data"], meta["data"]) == (f"regdb/{number}", data.meta["fingerprint"])
    message = refused(split, "train", "baseline@regdb", "--split", "3")
    assert message == "error: regdb has the splits 1 to 2, got 3"


def test_a_finished_training_that_lies_there_is_not_trained_again(fresh, capsys):
    fresh.add("recipes", baseline=changed(BASELINE, training__epochs=1))
    fresh.run("train", "pretrain")
    meta = fresh.folder / "artifacts" / "train" / "pretrain" / "meta.json"
    before = meta.stat().st_mtime_ns
    capsys.readouterr()
    fresh.run("train", "pretrain")
    said = capsys.readouterr()
    assert meta.stat().st_mtime_ns == before
    assert said.out == "pretrain: artifacts/train/pretrain is of these parameters, data and code already\n"
    assert "epoch" not in said.err


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_finished_training_that_was_removed_again_is_put_back_as_often_as_that_happens(fresh, capsys):
    fresh.add("recipes", baseline=changed(BASELINE, training__epochs=1))
    fresh.run("train", "pretrain")
    out = fresh.folder / "artifacts" / "train" / "pretrain"
    before = content(out)
    capsys.readouterr()
    for _ in range(2):
        shutil.rmtree(out)  # as DVC does, before it runs a stage
        fresh.run("train", "pretrain")
        assert content(out) == before
    assert "epoch" not in capsys.readouterr().err
    shutil.rmtree(out)
    fresh.add("recipes", baseline=changed(BASELINE, training__epochs=1, settings__smoothing=0.2))
    fresh.run("train", "pretrain")
    assert content(out) != before
    kept = list((fresh.folder / ".runs" / "finished" / "artifacts" / "train").iterdir())
    assert [folder.name for folder in kept] == ["pretrain"], "one for each output"


def test_a_kept_training_that_was_altered_is_refused_once_and_then_made_anew(fresh, refused):
    fresh.add("recipes", baseline=changed(BASELINE, training__epochs=1))
    fresh.run("train", "pretrain")
    out = fresh.folder / "artifacts" / "train" / "pretrain"
    before = content(out)["model.safetensors"]
    (fresh.folder / ".runs" / "finished" / "artifacts" / "train" / "pretrain" / "model.safetensors").write_bytes(b"")
    shutil.rmtree(out)
    assert "model.safetensors differs from what was saved" in refused(fresh, "train", "pretrain")
    shutil.rmtree(out)
    fresh.run("train", "pretrain")
    assert content(out)["model.safetensors"] == before


def test_a_changed_parameter_is_trained_again(fresh):
    fresh.add("recipes", baseline=changed(BASELINE, training__epochs=1))
    fresh.run("train", "pretrain")
    other = changed(BASELINE, training__epochs=1, settings__smoothing=0.2)
    fresh.add("recipes", baseline=other)
    fresh.run("train", "pretrain")
    assert open_checkpoint(fresh.folder / "artifacts" / "train" / "pretrain").meta["experiment"] == other


def test_a_misspelt_key_of_a_change_is_named_before_anything_is_begun(fresh, refused):
    mdpr = {**fresh.params["experiments"]["mdpr"], "change": {"settings": {"part_nun": 3}}}
    fresh.write(experiments={"mdpr": mdpr})
    message = refused(fresh, "train", "mdpr")
    assert message.startswith("error: experiment mdpr: change.settings.part_nun overrides nothing; did you mean part_")


def test_a_tampered_start_is_refused(fresh, noise, refused):
    write_training(fresh.folder / "artifacts" / "train", ImageStore(noise), "pretrain", BASELINE)
    weights = fresh.folder / "artifacts" / "train" / "pretrain" / "model.safetensors"
    as_saved = weights.read_bytes()
    weights.write_bytes(as_saved[:-8] + bytes([as_saved[-8] ^ 1]) + as_saved[-7:])
    fresh.add("recipes", **START)
    assert "pretrain: model.safetensors differs from what was saved" in refused(fresh, "train", "mdpr")


def test_a_start_that_was_not_trained_yet_is_named(fresh, refused):
    fresh.add("recipes", **START)
    message = refused(fresh, "train", "mdpr")
    assert message.startswith(f"error: start: no weights at {fresh.folder}/artifacts/train/pretrain: ")
    assert "train the experiment that makes it" in message


def test_data_that_was_not_prepared_is_named(fresh, refused):
    message = refused(fresh, "train", "mdpr@market")
    assert message.startswith("error: data/prepared/market holds no packed images")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("mdpt", "declares no experiment mdpt, and it is no RECIPE@DATA; did you mean mdpr?"),
        ("zzz", "declares no experiment zzz, and it is no RECIPE@DATA; there is: mdpr, pretrain"),
        ("mdpt@noise", "params.yaml has no recipes.mdpt; did you mean mdpr?"),
        ("mdpr@nois", "params.yaml has no data.nois; did you mean noise?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(fresh, refused, words, message):
    assert refused(fresh, "train", words).endswith(message)


def test_nothing_is_begun_with_parameters_that_do_not_fit(fresh, refused):
    fresh.add("recipes", mdpr=changed(MDPR, settings__part_nun=2))
    assert "experiments.mdpr.settings.part_nun: unknown key" in refused(fresh, "train", "mdpr")
    fresh.write(resources={})
    assert refused(fresh, "train", "mdpr").startswith("error: params.yaml has no resources.default")
    fresh.add("recipes", mdpr=changed(MDPR, method="mdrp"))
    fresh.write(resources={"default": {"workers": 0}})
    assert "resources of mdpr.cpus_per_worker: missing" in refused(fresh, "train", "mdpr")
    assert not (fresh.folder / ".runs").exists()


def test_how_a_training_is_run_stands_under_its_name_or_else_its_recipes(fresh, refused):
    default = fresh.params["resources"]["default"]
    fresh.write(resources={"default": default, "mdpr": {"worker": 2}})
    message = refused(fresh, "train", "mdpr@noise")
    assert message.startswith("error: resources.mdpr.worker overrides nothing; did you mean workers")


def test_a_mistake_that_shows_while_training_is_exit_on_user_error(fresh, refused):
    fresh.add("recipes", mdpr=changed(MDPR, settings__batch__identities=7))
    message = refused(fresh, "train", "mdpr")
    assert message.startswith("error: a group needs 7 identities, but only 6 are labelled")
    assert not (fresh.folder / "artifacts").exists()


def start_stage(project):
    return subprocess.Popen(
        [sys.executable, "-m", "stages", "train", "pretrain"], cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def published(project):
    found = open_checkpoint(project.folder / "artifacts" / "train" / "pretrain")
    return found.meta["files"], pd.read_csv(found.folder / "history.csv").drop(columns="images_per_second")


def test_a_stage_that_is_terminated_saves_ends_with_143_and_goes_on_bit_for_bit(fresh):
    fresh.add("recipes", baseline=changed(BASELINE, training__epochs=60))
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
    shutil.rmtree(fresh.folder / ".runs")
    fresh.run("train", "pretrain")
    expected_files, expected_history = published(fresh)
    assert files == expected_files
    assert history.equals(expected_history)
