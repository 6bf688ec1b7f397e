import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline.evaluation.stamp import read_result
from pipeline.methods.mdpr import method as mdpr
from pipeline.methods.mdpr.authors import mdpr_to_authors
from tests.noise import BASELINE, MDPR, changed, write_store


def test_a_checkpoint_becomes_embeddings_and_stamped_metrics(trained, capsys):
    trained.run("evaluate", "pretrain")
    folder = trained.folder / "artifacts" / "evaluate" / "pretrain"
    assert sorted(path.name for path in folder.iterdir()) == [
        "cmc.csv", "embeddings.npy", "measures.json", "metrics.json", "rows.parquet",
    ]  # fmt: skip
    result = read_result(folder / "metrics.json")
    assert (result.experiment, result.recipe.epoch) == ("pretrain", 2)
    assert capsys.readouterr().out.startswith(f"standard: mAP {result.metrics['mAP']:.1%}  rank1 ")


def test_the_checkpoint_knows_its_parameters_better_than_params_yaml(trained, tmp_path):
    trained.run("evaluate", "pretrain", "--out", str(tmp_path / "before"))
    trained.add("recipes", baseline=changed(BASELINE, settings__backbone__width=0.25))
    trained.run("evaluate", "pretrain", "--out", str(tmp_path / "after"))
    assert np.array_equal(*(np.load(tmp_path / name / "embeddings.npy") for name in ("before", "after")))


def test_a_shorter_training_than_a_studys_is_said_to_be_one(trained, tmp_path):
    longer = changed(BASELINE, training__epochs=9)
    trained.add("recipes", baseline=longer, brief={"training": {"epochs": 2}})
    trained.add("starts", pretrain={**trained.params["starts"]["pretrain"], "short": "brief"})
    trained.run("evaluate", "pretrain", "--out", str(tmp_path / "out"))
    assert read_result(tmp_path / "out" / "metrics.json").recipe.epochs == "2 of 9 (last)"


def test_a_model_of_another_split_is_not_scored(trained, tmp_path, refused):
    write_store(trained.folder / "data" / "prepared" / "split_2", seed=2)
    trained.add("data", split_2=trained.params["data"]["noise"])
    trained.add("starts", pretrain=changed(trained.params["starts"]["pretrain"], data="split_2"))
    message = refused(trained, "evaluate", "pretrain", "--out", str(tmp_path / "out"))
    assert message.startswith("error: artifacts/train/pretrain was trained on other data than data/prepared/split_2")
    assert not (tmp_path / "out").exists()


def test_a_tampered_checkpoint_is_not_scored(trained, tmp_path, refused):
    weights = trained.folder / "artifacts" / "train" / "pretrain" / "model.safetensors"
    as_saved = weights.read_bytes()
    weights.write_bytes(as_saved[:-8] + bytes([as_saved[-8] ^ 1]) + as_saved[-7:])
    message = refused(trained, "evaluate", "pretrain", "--out", str(tmp_path / "out"))
    weights.write_bytes(as_saved)
    assert message.startswith("error: artifacts/train/pretrain: model.safetensors differs from what was saved")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def released(tmp_path):
    """Weights of MDPR for 11 identities by the authors' names and by ours."""
    settings = mdpr.MDPRParams.model_validate(MDPR["settings"])
    state = mdpr.MDPR(settings, num_classes=11, height=32, width=16, seed=8).network.state_dict()
    torch.save({"model": mdpr_to_authors(state)}, tmp_path / "theirs.pth")
    save_file(state, tmp_path / "ours.safetensors")
    return tmp_path


def test_weights_of_the_authors_score_as_the_same_weights_by_our_names(trained, released):
    there = trained.folder / "artifacts"
    before = sorted(there.rglob("*"))
    for file, flags in (("theirs.pth", ["--authors"]), ("ours.safetensors", [])):
        out = released / f"from-{file}"
        trained.run("evaluate", "mdpr", "--weights", str(released / file), *flags, "--out", str(out))
    theirs, ours = (released / f"from-{file}" for file in ("theirs.pth", "ours.safetensors"))
    assert np.array_equal(np.load(theirs / "embeddings.npy"), np.load(ours / "embeddings.npy"))
    results = [read_result(folder / "metrics.json") for folder in (theirs, ours)]
    assert results[0].metrics == results[1].metrics
    assert results[0].recipe.epoch_choice == "file theirs.pth"
    assert sorted(there.rglob("*")) == before


def test_somebody_elses_numbers_never_stand_in_for_the_experiments_own(trained, released, refused):
    message = refused(trained, "evaluate", "mdpr", "--weights", str(released / "ours.safetensors"))
    assert message.startswith("error: --weights needs --out")
    assert "name it by --weights" in refused(trained, "evaluate", "mdpr", "--authors")


def test_another_seed_is_scored_in_a_folder_of_its_own(trained):
    trained.run("train", "pretrain", "--seed", "5")
    trained.run("evaluate", "pretrain", "--seed", "5")
    result = read_result(trained.folder / "artifacts" / "runs" / "pretrain" / "seed5" / "evaluate" / "metrics.json")
    assert (result.experiment, result.seed) == ("pretrain", 5)


def test_what_can_not_be_scored_is_exit_on_user_error(fresh, released, refused):
    assert refused(fresh, "evaluate", "pretrain").startswith("error: artifacts/train/pretrain: no readable meta.json")
    given = ("--out", str(released / "out"), "--weights")
    message = refused(fresh, "evaluate", "mdpr", *given, str(released / "none.pth"))
    assert message.startswith(f"error: no weights at {released}/none.pth")
    message = refused(fresh, "evaluate", "pretrain", *given, str(released / "ours.safetensors"))
    assert message.startswith("error: the weights are not those of BaselineNetwork")
    assert not (released / "out").exists()
