import pandas as pd

from pipeline.training.checkpoint import open_checkpoint
from stages import train
from tests.noise import BASELINE, MDPR, changed


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
