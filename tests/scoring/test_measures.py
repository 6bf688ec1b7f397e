"""What is measured of a network beside retrieval by its whole embedding."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.evaluation.foreground import measure_overlap
from pipeline.evaluation.modalities import measure_modalities
from pipeline.evaluation.protocols import MARKET
from pipeline.images.store import ImageStore
from pipeline.methods.baseline.method import Baseline
from pipeline.methods.mdpr.method import MDPR
from pipeline.scoring.comparison import EvaluationParams, compare
from pipeline.scoring.evaluate import describe, evaluate
from pipeline.training import experiment
from tests.noise import BASELINE, EVALUATION, changed
from tests.noise import MDPR as MDPR_BLOCK

PARAMS = EvaluationParams(**EVALUATION)


def measured(kind, block, store, folder):
    """Scores a network as its seed filled it; returns its method and its measures."""
    params = experiment.parse(experiment.ExperimentParams, block, "experiments.small")
    method = experiment.build_method(kind, params, "experiments.small", store, 6)
    evaluate(describe("small", params, method, epoch=1), store, PARAMS, folder)
    return method, json.loads((folder / "measures.json").read_text())


def test_each_part_of_an_embedding_is_scored_by_its_own_columns(noise, tmp_path):
    store = ImageStore(noise)
    method, measures = measured(MDPR, MDPR_BLOCK, store, tmp_path)
    parts = method.embedding_parts()
    embeddings, rows = np.load(tmp_path / "embeddings.npy"), pd.read_parquet(tmp_path / "rows.parquet")
    assert {"hard_global", "attn4", "fusion"} <= parts.keys()
    assert sum(part.stop - part.start for part in parts.values()) == embeddings.shape[1]
    for name, columns in parts.items():
        expected = compare(embeddings[:, columns], rows, MARKET, PARAMS).metrics
        assert (measures[f"{name}/mAP"], measures[f"{name}/rank1"]) == (expected["mAP"], expected["rank1"])
    images = torch.randn(2, 3, 32, 16)
    with torch.no_grad():
        whole, alone = (
            method.network.eval().embed(images, names) for names in (list(method.params.features), ["attn4"])
        )
    torch.testing.assert_close(whole[:, parts["attn4"]], alone, rtol=0, atol=0)


def test_a_network_without_parts_has_its_number_of_weights_alone(noise, tmp_path):
    method, measures = measured(Baseline, BASELINE, ImageStore(noise), tmp_path)
    trained = [weight.numel() for weight in method.network.parameters() if weight.requires_grad]
    assert measures == {"parameters": sum(trained)}


def test_attention_is_held_against_the_true_masks_where_there_are_any(noise, tmp_path):
    store = ImageStore(noise)
    masks = np.zeros((len(store.table), 32, 16), np.uint8)
    masks[:, :16] = 255
    store.masks = masks
    method, measures = measured(MDPR, changed(MDPR_BLOCK, settings__attn_num=1), store, tmp_path)
    images = torch.zeros(2, 3, 32, 16)
    with torch.no_grad():
        attention = method.network.eval()(images).attention
    for depth in (4, 3):
        with torch.no_grad():
            shares = method.foregrounds()[f"attention{depth}"].eval()(images)
        assert shares.shape == (2, 32 * 16)
        assert shares.mean() == pytest.approx(float(attention[depth].mean()), rel=0.2)
        assert measures[f"attention{depth}/iou_of_everything"] == 0.5
        assert 0 <= measures[f"attention{depth}/iou"] <= 1
    assert measure_overlap(np.ones((1, 512)), masks[:1].reshape(1, -1))["iou"] == 0.5


def test_people_of_two_modalities_have_a_spread_and_a_gap_and_distractors_are_no_people(both_modalities, tmp_path):
    store = ImageStore(both_modalities)
    _, measures = measured(Baseline, BASELINE, store, tmp_path)
    embeddings, rows = np.load(tmp_path / "embeddings.npy"), pd.read_parquet(tmp_path / "rows.parquet")
    keep = (rows["person_id"] > 0).to_numpy()
    assert not keep.all()
    embeddings, rows = embeddings[keep], rows[keep]
    infrared = (rows["modality"] == "infrared").to_numpy()
    expected = measure_modalities(embeddings, rows["person_id"].to_numpy(), infrared)
    assert expected
    assert {name: measures[name] for name in expected} == expected
