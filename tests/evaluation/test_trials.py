import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation import trials
from pipeline.evaluation.labels import ALL_SEEN
from pipeline.evaluation.protocols import MARKET, Search, Side, sysu_mm01
from pipeline.evaluation.ranking import rank_embeddings
from pipeline.evaluation.trials import mean_metrics, rank_trials

RANKED = {"metric": "cosine", "average_precision": "standard"}
SEARCH = sysu_mm01("all-search", shots=1, draws="seeded", trials=4)


def table_of(rows):
    table = pd.DataFrame(rows, columns=["person_id", "camera_id", "modality", "role"])
    return table.assign(path=[f"{row:04d}.jpg" for row in range(len(table))], split="test")


def visible_and_infrared():
    infrared = (3, 6)
    return table_of(
        [
            (
                person,
                camera,
                "infrared" if camera in infrared else "visible",
                "query" if camera in infrared else "gallery",
            )
            for person in range(1, 8)
            for camera in range(1, 7)
            for _ in range(1 + (person * camera) % 4)
        ]
    )


def test_metrics_of_trials_are_their_mean_with_the_spread_beside_it():
    rng = np.random.default_rng(6)
    table = visible_and_infrared()
    features = rng.standard_normal((len(table), 8), dtype=np.float32)
    rankings = rank_trials(features, table, SEARCH, **RANKED)
    metrics = mean_metrics(rankings)
    each = [ranking.metrics()["mAP"] for ranking in rankings]
    assert metrics["mAP"] == pytest.approx(np.mean(each))
    assert metrics["mAP_std"] == pytest.approx(np.std(each))
    assert metrics["mAP_std"] > 0
    assert metrics["num_queries"] == (table["role"] == "query").sum()
    assert set(mean_metrics(rankings[:1])) == set(rankings[0].metrics())


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_shared_products_change_nothing(monkeypatch, metric):
    rng = np.random.default_rng(7)
    table = visible_and_infrared()
    features = rng.integers(-2, 3, (len(table), 3)).astype(np.float32) + np.float32(0.1)
    given = RANKED | {"metric": metric}
    shared = rank_trials(features, table, SEARCH, **given, block_size=5)
    monkeypatch.setattr(trials, "NUMBERS_KEPT", 0)
    for one, other in zip(shared, rank_trials(features, table, SEARCH, **given), strict=True):
        for name in ("average_precision", "inverse_negative_penalty", "first_match"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_leaving_one_out_ranks_all_others():
    table = table_of([(1, 0, "visible", "query"), (1, 0, "visible", "query"), (2, 0, "visible", "query")])
    everyone = Search("leave one out", Side(), Side(), ALL_SEEN)
    (ranking,) = rank_trials(np.eye(3, dtype=np.float32), table, everyone, **RANKED)
    assert ranking.first_match.tolist() == [2, 2, 0]


def test_the_market_protocol_ranks_queries_against_the_gallery():
    rng = np.random.default_rng(5)
    rows = [(p, c, "visible", role) for p in (1, 2, 3) for c in (1, 2) for role in ("query", "gallery")]
    table = table_of([*rows, (0, 1, "visible", "gallery")])
    features = rng.standard_normal((len(table), 8), dtype=np.float32)
    (ranking,) = rank_trials(features, table, MARKET, **RANKED)
    query, gallery = (np.flatnonzero(table["role"] == role) for role in ("query", "gallery"))
    sides = {
        f"{side}_{name}": table[column].to_numpy()[rows]
        for side, rows in (("query", query), ("gallery", gallery))
        for name, column in (("ids", "person_id"), ("cameras", "camera_id"))
    }
    expected = rank_embeddings(features[query], features[gallery], **sides, metric="cosine")
    np.testing.assert_array_equal(ranking.average_precision, expected.average_precision)


def test_features_of_another_table_are_an_error():
    table = visible_and_infrared()
    with pytest.raises(ValueError, match=f"features: expected those of the {len(table)} rows"):
        rank_trials(np.ones((3, 4)), table, SEARCH, **RANKED)
