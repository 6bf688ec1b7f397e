from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.protocols import MARKET, sysu_mm01
from pipeline.evaluation.stamp import market_protocol
from pipeline.report.ranked_lists import choose, ranked_list, scores, search_of, some_queries

PROTOCOL = market_protocol(data="noise", fingerprint="", counts={}, is_generated=True)


@pytest.fixture
def scored(made):
    return next(one for one in made.scores if one.name == "mdpr")


def test_precisions_of_the_lists_are_those_of_the_scores(scored):
    trial = some_queries(MARKET, scored.rows())
    embeddings, metrics = scored.embeddings(), scored.any_result.metrics
    precisions, is_found = scores(trial, embeddings, "cosine")
    assert precisions.mean() == pytest.approx(metrics["mAP"])
    assert is_found.mean() == pytest.approx(metrics["rank1"])
    for number, precision in enumerate(precisions):
        found = ranked_list("good", trial, number, embeddings, "cosine")
        assert found.average_precision == pytest.approx(precision)
        assert (found.first_match == 1) == is_found[number] == found.answers[0].is_right


def test_a_list_has_the_nearest_first_and_nothing_that_the_query_does_not_see(scored):
    table, embeddings = scored.rows(), scored.embeddings()
    trial = some_queries(MARKET, table)
    found = ranked_list("good", trial, 0, embeddings, "cosine")
    rows = [answer.row for answer in found.answers]
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    nearness = units[rows] @ units[found.query]
    assert np.all(np.diff(nearness) <= 1e-6)
    query, answers = table.iloc[found.query], table.iloc[rows]
    assert not ((answers["person_id"] == query["person_id"]) & (answers["camera_id"] == query["camera_id"])).any()
    assert [answer.is_right for answer in found.answers] == (answers["person_id"] == query["person_id"]).tolist()


def test_failed_queries_are_wrong_at_the_first_answer_and_good_ones_score_higher():
    precisions = np.linspace(0, 1, 101)
    is_found = precisions > 0.3
    chosen = choose(precisions, is_found)
    kinds = {kind: [number for other, number in chosen if other == kind] for kind, _ in chosen}
    assert kinds == {"good": [95, 85], "typical": [55, 45], "failed": [3, 0]}


def test_without_failures_none_is_shown_and_no_query_is_shown_twice():
    chosen = choose(np.array([0.5, np.nan, 1.0]), np.array([True, False, True]))
    assert sorted(number for _, number in chosen) == [0, 2]
    assert "failed" not in [kind for kind, _ in chosen]


def test_camera_3_does_not_see_camera_2():
    rows = [(1, 3, "infrared", "query"), (1, 2, "visible", "gallery"), (1, 1, "visible", "gallery")]
    rows += [(2, 2, "visible", "gallery"), (2, 1, "visible", "gallery")]
    table = pd.DataFrame(rows, columns=["person_id", "camera_id", "modality", "role"])
    table["path"], table["split"] = [str(row) for row in range(len(table))], "test"
    search = search_of("sysu_mm01", replace(PROTOCOL, search="all-search", shots="single-shot"))
    assert search == sysu_mm01("all-search", shots=1, draws="seeded", trials=1)
    found = ranked_list("good", some_queries(search, table), 0, np.eye(5, dtype=np.float32) + 1, "euclidean")
    assert [table.iloc[answer.row]["camera_id"] for answer in found.answers] == [1, 1]
