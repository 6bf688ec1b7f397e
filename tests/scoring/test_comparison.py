from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.config import parse
from pipeline.evaluation.labels import SAME_CAMERA_REMOVED
from pipeline.evaluation.metrics import NAMES
from pipeline.evaluation.postprocessing import unit_rows, whiten
from pipeline.evaluation.protocols import MARKET, NO_CAMERAS, llcm, regdb, sysu_mm01
from pipeline.evaluation.query_expansion import expand_queries
from pipeline.evaluation.ranking import rank_distances, rank_embeddings
from pipeline.evaluation.reranking import rerank
from pipeline.evaluation.stamp import (
    Recipe,
    Result,
    check_equal_protocols,
    market_protocol,
    parse_stamp,
    stamp,
)
from pipeline.evaluation.verification import verify_embeddings
from pipeline.neighbors.cameras import center_cameras
from pipeline.scoring.comparison import EvaluationParams, compare, postprocess, searches_of
from tests.noise import EVALUATION

RERANKING = {"k1": 6, "k2": 3, "weight": 0.3, "convention": "zhong"}
EXPANSION = {"neighbors": 3, "alpha": 3.0}
POSTPROCESSING = {"center_cameras": True, "whitening": 5}
CHANGES = {
    "plain": {},
    "trapezoid": {"average_precision": "trapezoid"},
    "postprocessing": {"postprocessing": POSTPROCESSING},
    "centring": {"postprocessing": POSTPROCESSING | {"whitening": None}},
    "expansion": {"query_expansion": EXPANSION},
    "average": {"query_expansion": EXPANSION | {"alpha": 0.0}},
    "reranking": {"reranking": RERANKING},
    "deep": {"reranking": RERANKING | {"convention": "deep_person_reid"}},
    "everything": {"postprocessing": POSTPROCESSING, "query_expansion": EXPANSION, "reranking": RERANKING},
}


def params(**changes):
    return parse(EvaluationParams, EVALUATION | changes, "evaluation")


@pytest.fixture(scope="module")
def case():
    """Features [N, 8] near their identities, shifted by camera, and the table of their images."""
    rng = np.random.default_rng(0)
    persons, cameras = np.repeat(np.arange(1, 16), 8), np.tile(np.arange(1, 5), 30)
    features = 0.8 * rng.standard_normal((15, 8))[persons - 1] + 0.5 * rng.standard_normal((120, 8))
    features += rng.standard_normal((4, 8))[cameras - 1]
    table = pd.DataFrame({"person_id": persons, "camera_id": cameras, "split": "test"})
    table["role"] = np.where(np.arange(120) % 8 < 2, "query", "gallery")
    return features.astype(np.float32), table


def sides(case):
    features, table = case
    query = (table["role"] == "query").to_numpy()
    labels = {
        f"{name}_{key}": table.loc[rows, column].to_numpy()
        for name, rows in (("query", query), ("gallery", ~query))
        for key, column in (("ids", "person_id"), ("cameras", "camera_id"))
    }
    return features[query], features[~query], labels


def metrics_of(case, **changes):
    found = compare(*case, MARKET, params(**changes)).metrics
    return {name: value for name, value in found.items() if not name.startswith("tpr")}


def test_the_plain_protocol_is_that_of_market(case):
    query, gallery, labels = sides(case)
    found = compare(*case, MARKET, params())
    assert metrics_of(case) == rank_embeddings(query, gallery, metric="cosine", **labels).metrics()
    assert found.rankings[0].metrics()["mAP"] == found.metrics["mAP"]


def test_true_positive_rates_stand_beside_the_metrics(case):
    query, gallery, labels = sides(case)
    expected = verify_embeddings(query, gallery, **labels, metric="cosine", false_positive_rates=(1e-4, 1e-3, 1e-2))
    found = compare(*case, MARKET, params()).metrics
    assert [found[f"tpr_at_fpr_{name}"] for name in ("1e-4", "1e-3", "1e-2")] == list(expected.values())


def test_without_wrong_pairs_there_is_no_true_positive_rate(case):
    features, table = case
    one = (table["person_id"] == 1).to_numpy()
    found = compare(features[one], table[one].reset_index(drop=True), MARKET, params()).metrics
    assert found["mAP"] == 1
    assert not [name for name in found if name.startswith("tpr")]


def test_reranking_ranks_by_the_final_distances(case):
    query, gallery, labels = sides(case)
    reranked = rerank(query, gallery, metric="cosine", **RERANKING)
    queries, images = np.divmod(np.arange(len(query) * len(gallery)), len(gallery))
    distances = reranked.exact(queries, images).reshape(len(query), len(gallery))
    assert metrics_of(case, reranking=RERANKING) == rank_distances(distances, **labels).metrics()


def test_queries_are_expanded_before_they_are_compared(case):
    query, gallery, labels = sides(case)
    expanded = expand_queries(query, gallery, **EXPANSION)
    expected = rank_embeddings(expanded, gallery, metric="cosine", **labels).metrics()
    assert metrics_of(case, query_expansion=EXPANSION) == expected


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_cameras_share_one_mean_and_whitening_is_fitted_on_the_gallery(case, distance):
    query, gallery, labels = sides(case)
    features = np.concatenate([query, gallery])
    cameras = np.concatenate([labels["query_cameras"], labels["gallery_cameras"]])
    given = params(distance=distance, postprocessing=POSTPROCESSING)
    found = postprocess(query, gallery, cameras=cameras, params=given)
    centered = center_cameras(unit_rows(features) if distance == "cosine" else features, cameras)
    expected = whiten(centered, fitted_on=centered[len(query) :], components=5)
    np.testing.assert_array_equal(np.concatenate(found), expected)


def test_centring_finds_more_across_cameras_that_differ(case):
    assert metrics_of(case, **CHANGES["centring"])["mAP"] > metrics_of(case)["mAP"] + 0.05


def test_each_trial_is_compared_and_deviations_are_told(case):
    features, table = case
    table = table.assign(modality=np.where(table["camera_id"].isin([1, 2]), "visible", "infrared"))
    table["path"] = [f"{row:04d}.jpg" for row in range(len(table))]
    search = sysu_mm01("indoor-search", shots=1, draws="seeded", trials=3)
    found = compare(features, table, search, params(reranking=RERANKING))
    assert len(found.rankings) == 3
    assert found.metrics["mAP"] == pytest.approx(np.mean([one.metrics()["mAP"] for one in found.rankings]))
    assert found.metrics["mAP_std"] > 0
    assert 0 < found.metrics["tpr_at_fpr_1e-2"] <= 1


def test_a_data_set_is_searched_by_the_protocol_that_it_names():
    assert searches_of("market", params()) == {"": MARKET}
    assert searches_of("no_cameras", params()) == {"": NO_CAMERAS}
    assert MARKET.camera_rule is SAME_CAMERA_REMOVED
    drawn = {"draws": "seeded", "trials": 2}
    assert searches_of("sysu_mm01", params()) == {
        name: sysu_mm01(name, shots=1, **drawn) for name in ("all-search", "indoor-search")
    }
    assert searches_of("regdb", params()) == {"V-to-T": regdb("V->T"), "T-to-V": regdb("T->V")}
    assert searches_of("llcm", params()) == {"V-to-I": llcm("V->I", trials=2)}
    with pytest.raises(ValueError, match="expected market, no_cameras, sysu_mm01, regdb or llcm, got 'other'"):
        searches_of("other", params())


def test_single_and_multi_shot_are_scored_beside_each_other_and_none_twice():
    single, multi = ({"name": "all-search", "shots": shots, "draws": "official", "trials": 10} for shots in (1, 10))
    both = params(searches=EVALUATION["searches"] | {"sysu_mm01": [single, multi]})
    assert list(searches_of("sysu_mm01", both)) == ["all-search", "all-search-multi-shot"]
    for wrong, got in (([single, single], "all-search, all-search"), ([], "none")):
        with pytest.raises(ValueError, match=f"sysu_mm01: expected one search or more, each once; got {got}"):
            searches_of("sysu_mm01", params(searches=EVALUATION["searches"] | {"sysu_mm01": wrong}))


def test_galleries_of_the_makers_are_those_searched(case):
    features, table = case
    table = table.assign(modality=np.where(table["camera_id"].isin([1, 2]), "visible", "infrared"))
    table["path"] = [f"{row:04d}.jpg" for row in range(len(table))]
    table["role"] = np.where(table["modality"] == "visible", "gallery", "query")
    gallery = table[table["modality"] == "visible"]
    first = gallery.groupby(["person_id", "camera_id"])["path"].min()
    draws = pd.DataFrame({"trial": 1, "path": first.to_numpy(), "place": 1})
    search = sysu_mm01("indoor-search", shots=1, draws="official", trials=1)
    found = compare(features, table, search, params(), draws)
    assert 0 < found.metrics["mAP"] < 1
    with pytest.raises(ValueError, match="came without the galleries that its makers drew"):
        compare(features, table, search, params())


@pytest.mark.parametrize("name", CHANGES)
def test_numbers_of_different_protocols_do_not_share_a_table(name):
    plain = market_protocol(data="people", fingerprint="abc", counts={}, is_generated=True)
    recipe = Recipe("none", "none", 64, 32, "8-d", "cosine", False, "not used", 0, "last")
    one, other = (
        Result("one", "one", 1, 1, dict.fromkeys(NAMES, 0.5), replace(plain, **params(**change).stamp_fields()), recipe)
        for change in ({}, CHANGES[name])
    )
    assert parse_stamp(stamp(other), "here") == (other.protocol, recipe)
    if name == "plain":
        assert other.protocol == plain
    else:
        with pytest.raises(ValueError, match="different protocols"):
            check_equal_protocols([one, other])


def test_the_stamp_says_what_was_done():
    fields = params(**CHANGES["everything"]).stamp_fields()
    assert fields["postprocessing"] == "cameras centred on all test images, whitened to 5 components of the gallery"
    assert fields["query_expansion"] == "weighted by cosine^3, 3 of all gallery images"
    assert params(**CHANGES["average"]).stamp_fields()["query_expansion"] == "average, 3 of all gallery images"
    assert params(**CHANGES["trapezoid"]).stamp_fields()["average_precision"].startswith("mean of the precision")


def test_directions_are_not_averaged_for_euclidean_distances():
    with pytest.raises(ValueError, match="expected distance: cosine"):
        params(distance="euclidean", query_expansion=EXPANSION).stamp_fields()


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_can_be_compared_by(case, name):
    found = compare(*case, MARKET, params(**CHANGES[name])).metrics
    assert found["num_queries"] == 30
    assert 0 < found["mAP"] <= 1
    assert (found == compare(*case, MARKET, params()).metrics) == (name == "plain")
