import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from pipeline.backbones.weights import WeightsError
from pipeline.datasets.prepare import DRAWS_FILE
from pipeline.evaluation.protocols import MARKET
from pipeline.evaluation.ranking import rank_embeddings
from pipeline.evaluation.stamp import read_result
from pipeline.images import table
from pipeline.images.store import META_FILE, TABLE_FILE, ImageStore
from pipeline.methods.baseline.method import Baseline
from pipeline.methods.mdpr.authors import mdpr_to_authors
from pipeline.methods.mdpr.method import MDPR
from pipeline.scoring import evaluate as scoring
from pipeline.scoring.comparison import EvaluationParams, compare, searches_of
from pipeline.scoring.embedding import embed_rows
from pipeline.scoring.evaluate import (
    describe,
    evaluate,
    flat_metrics,
    model_from,
    model_from_file,
    protocol,
)
from pipeline.training import checkpoint, experiment
from pipeline.training.checkpoint import open_checkpoint
from tests.noise import BASELINE, EVALUATION, TEST, changed
from tests.noise import MDPR as MDPR_BLOCK

PARAMS = EvaluationParams(**EVALUATION)


@pytest.fixture(scope="module")
def store(noise):
    return ImageStore(noise)


def build(kind, block, store, num_classes=6):
    """A method whose network is not as its seed filled it, so that loading weights shows."""
    params = experiment.parse(experiment.ExperimentParams, block, "experiments.small")
    method = experiment.build_method(kind, params, "experiments.small", store, num_classes)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in method.network.parameters():
            weight += 0.01 * torch.randn(weight.shape, generator=generator)
    return method, params


@pytest.fixture
def trained(store, tmp_path):
    """The folder of a baseline's checkpoint after epoch 2, and its method."""
    method, _ = build(Baseline, BASELINE, store)
    meta = {
        "name": "small",
        "experiment": BASELINE,
        "num_classes": 6,
        "epoch": 2,
        "image": [32, 16],
        "resampling": "bicubic",
    }
    checkpoint.save(tmp_path / "trained", method, {}, meta)
    return tmp_path / "trained", method


def test_the_stamp_says_in_which_format_and_on_what_a_network_was_trained(trained, store, tmp_path):
    folder, method = trained
    assert model_from(open_checkpoint(folder), Baseline, store).recipe["precision"] is None  # from before it was noted
    meta = open_checkpoint(folder).meta | {"precision": "bfloat16", "device": "cuda"}
    checkpoint.save(folder, method, {}, meta)
    results = evaluate(model_from(open_checkpoint(folder), Baseline, store), store, PARAMS, tmp_path / "out")
    assert (results[""].recipe.precision, results[""].recipe.device) == ("bfloat16", "cuda")


def test_the_files_hold_what_the_metrics_come_from(trained, store, tmp_path):
    folder, _ = trained
    results = evaluate(model_from(open_checkpoint(folder), Baseline, store), store, PARAMS, tmp_path / "out")
    assert list(results) == [""]
    result = results[""]
    embeddings = np.load(tmp_path / "out" / "embeddings.npy")
    rows = pd.read_parquet(tmp_path / "out" / "rows.parquet")
    assert embeddings.shape == (len(rows), 64)
    assert embeddings.dtype == np.float32
    assert compare(embeddings, rows, MARKET, PARAMS).metrics == result.metrics
    assert read_result(tmp_path / "out" / "metrics.json") == result
    curve = pd.read_csv(tmp_path / "out" / "cmc.csv")
    assert curve["rank"].tolist() == list(range(1, 51))
    assert curve["cmc"].is_monotonic_increasing
    assert curve["cmc"][0] == result.metrics["rank1"]


def test_a_checkpoint_is_scored_with_its_own_parameters_and_weights(trained, store):
    folder, method = trained
    model = model_from(open_checkpoint(folder), Baseline, store)
    theirs = describe("small", build(Baseline, BASELINE, store)[1], method, epoch=2)
    rows = scoring.test_rows(store)
    ours, expected = (embed_rows(each.embedder, store, rows, batch=PARAMS.batch) for each in (model, theirs))
    assert np.array_equal(ours, expected)
    assert model.recipe == theirs.recipe


def test_a_checkpoint_of_images_of_another_size_is_refused(trained, store):
    found = open_checkpoint(trained[0])
    found.meta["image"] = [64, 32]
    with pytest.raises(ValueError, match="trained on images of 64x32 pixels, and these are 32x16"):
        model_from(found, Baseline, store)


def test_the_stamp_says_by_which_protocol_and_recipe(trained, store, tmp_path):
    folder, _ = trained
    flipped = EvaluationParams(**EVALUATION | {"distance": "euclidean", "flip": True})
    evaluate(model_from(open_checkpoint(folder), Baseline, store), store, flipped, tmp_path / "out")
    tree = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (tree["experiment"], tree["method"], tree["data"], tree["seed"]) == ("small", "baseline", "noise", 3)
    assert tree["stamp"]["recipe"] == {
        "supervision": "supervised",
        "start_weights": "random",
        "height": 32,
        "width": 16,
        "feature": "64-d",
        "distance": "euclidean",
        "flip": True,
        "cameras": "not used",
        "epoch": 2,
        "epoch_choice": "last",
        "precision": None,
        "device": None,
        "start_fit": None,
        "of_epochs": None,
    }
    found = tree["stamp"]["protocol"]
    assert (found["data"], found["fingerprint"]) == ("noise", store.meta["fingerprint"])
    assert found["is_generated"] is True
    assert found["counts"]["query_images"] == 5


def test_start_weights_are_stamped_by_their_name(store):
    method, params = build(Baseline, changed(BASELINE, start="artifacts/train/pretrain"), store)
    assert describe("small", params, method, epoch=2).recipe["start_weights"] == "pretrain"


def test_a_start_that_fits_in_part_is_stamped_with_what_it_filled(store, noise, tmp_path):
    plain, _ = build(Baseline, BASELINE, store)
    torch.save(plain.network.backbone.state_dict(), tmp_path / "plain.pth")
    start = {"file": str(tmp_path / "plain.pth"), "partial": True}
    block = changed(BASELINE, start=start, settings__backbone__ibn=True, training__epochs=1)
    job = experiment.describe("small", block, Baseline, noise, tmp_path / "runs")
    history = experiment.run(job, lambda metrics: None, torch.device("cpu"))
    experiment.publish(job, tmp_path / "trained", history, None)
    recipe = model_from(open_checkpoint(tmp_path / "trained"), Baseline, store).recipe
    assert recipe["start_weights"] == "plain.pth (in part)"
    assert recipe["start_fit"]["left"] == [f"layer{stage}.*.bn1.{half}" for stage in (1, 2, 3) for half in ("BN", "IN")]
    assert recipe["start_fit"]["skipped"] == [f"layer{stage}.*.bn1" for stage in (1, 2, 3)]
    assert "layer4.*.conv2" in recipe["start_fit"]["filled"]


def test_training_images_are_not_ranked_and_distractors_are(store):
    table = store.table.iloc[scoring.test_rows(store)]
    assert set(table["person_id"]) == {0, *TEST}
    assert set(table["role"]) == {"query", "gallery"}
    features = np.eye(len(table))[:, :8] + 1e-3
    query = (table["role"] == "query").to_numpy()
    side = {
        f"{name}_{key}": table.loc[rows, column].to_numpy()
        for name, rows in (("query", query), ("gallery", ~query))
        for key, column in (("ids", "person_id"), ("cameras", "camera_id"))
    }
    expected = rank_embeddings(features[query], features[~query], metric="cosine", **side)
    found = compare(features, table, MARKET, PARAMS).metrics
    assert {name: found[name] for name in expected.metrics()} == expected.metrics()
    assert protocol(store, MARKET, PARAMS).counts["gallery_images"] == len(side["gallery_ids"]) == 5 * 4 + 3


@pytest.fixture
def across_modalities(noise, tmp_path):
    """The same images as if queries were infrared, searched as SYSU-MM01; nobody has drawn galleries yet."""
    folder = tmp_path / "across"
    shutil.copytree(noise, folder)
    listed = table.read(folder / TABLE_FILE)
    is_query = listed["role"] == "query"
    listed.loc[is_query, ["camera_id", "modality"]] = 3, "infrared"
    listed.loc[~is_query & (listed["camera_id"] == 2), "camera_id"] = 4
    table.write(listed, folder / TABLE_FILE)
    meta = json.loads((folder / META_FILE).read_text())
    meta |= {"protocol": "sysu_mm01", "fingerprint": table.fingerprint(listed)}
    (folder / META_FILE).write_text(json.dumps(meta))
    return folder


def test_galleries_that_the_makers_drew_are_looked_for_beside_the_images(trained, across_modalities, tmp_path):
    searches = EVALUATION["searches"] | {
        "sysu_mm01": [{"name": "all-search", "shots": 1, "draws": "official", "trials": 1}]
    }
    params = EvaluationParams(**EVALUATION | {"searches": searches})
    store = ImageStore(across_modalities)
    model = model_from(open_checkpoint(trained[0]), Baseline, store)
    with pytest.raises(ValueError, match="came without the galleries that its makers drew"):
        evaluate(model, store, params, tmp_path / "out")
    gallery = store.table[store.table["role"] == "gallery"]
    drawn = gallery.groupby(["person_id", "camera_id"])["path"].max()
    draws = pd.DataFrame({"trial": 1, "path": drawn.to_numpy(), "place": 1})
    draws.to_parquet(across_modalities / DRAWS_FILE)
    (result,) = evaluate(model, store, params, tmp_path / "out").values()
    assert result.protocol.label == "all-search single-shot"
    assert result.protocol.gallery == "drawn by the makers of the data set"
    rows = store.table.iloc[scoring.test_rows(store)]
    (search,) = searches_of("sysu_mm01", params).values()
    found = compare(np.load(tmp_path / "out" / "embeddings.npy"), rows, search, params, draws)
    assert found.metrics == result.metrics


def test_every_search_has_a_folder_and_all_share_the_embeddings(trained, across_modalities, tmp_path):
    store = ImageStore(across_modalities)
    model = model_from(open_checkpoint(trained[0]), Baseline, store)
    results = evaluate(model, store, PARAMS, tmp_path / "out")
    assert [result.protocol.search for result in results.values()] == ["all-search", "indoor-search"] == list(results)
    for place, result in results.items():
        assert read_result(tmp_path / "out" / place / "metrics.json") == result
        assert pd.read_csv(tmp_path / "out" / place / "cmc.csv")["cmc"][0] == pytest.approx(result.metrics["rank1"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "all-search", "embeddings.npy", "indoor-search", "measures.json", "rows.parquet",
    ]  # fmt: skip
    flat = flat_metrics(results)
    assert flat["indoor-search/mAP"] == results["indoor-search"].metrics["mAP"]
    assert len(flat) == sum(len(result.metrics) for result in results.values())


@pytest.fixture
def authors_file(store, tmp_path):
    """Weights of a network for 11 identities, as the authors of MDPR save them; and the same by our names."""
    method, _ = build(MDPR, MDPR_BLOCK, store, num_classes=11)
    state = method.network.state_dict()
    torch.save({"model": mdpr_to_authors(state), "iteration": 7}, tmp_path / "model_final.pth")
    save_file(state, tmp_path / "ours.safetensors")
    return tmp_path / "model_final.pth", tmp_path / "ours.safetensors"


def test_a_file_of_the_authors_scores_as_the_same_weights_by_our_names(authors_file, store, tmp_path):
    theirs, ours = (
        model_from_file("mdpr", MDPR_BLOCK, MDPR, store, file, authors)
        for file, authors in zip(authors_file, (True, False), strict=True)
    )
    for model, folder in ((theirs, tmp_path / "theirs"), (ours, tmp_path / "ours")):
        evaluate(model, store, PARAMS, folder)
    assert np.array_equal(*(np.load(tmp_path / name / "embeddings.npy") for name in ("theirs", "ours")))
    recipe = read_result(tmp_path / "theirs" / "metrics.json").recipe
    assert (recipe.start_weights, recipe.epoch, recipe.epoch_choice) == ("not known", None, "file model_final.pth")


def test_a_file_of_another_network_is_refused(authors_file, store):
    with pytest.raises(WeightsError, match="the weights are not those of BaselineNetwork"):
        model_from_file("baseline", BASELINE, Baseline, store, authors_file[1], authors=False)
    with pytest.raises(ValueError, match="tensors are not MDPR's"):
        model_from_file("mdpr", MDPR_BLOCK, MDPR, store, authors_file[1], authors=True)
    with pytest.raises(ValueError, match="no authors' weights to read; leave out --authors"):
        model_from_file("baseline", BASELINE, Baseline, store, authors_file[0], authors=True)
