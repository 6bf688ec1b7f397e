from pathlib import Path

import pytest

from pipeline.evaluation.metrics import NAMES
from pipeline.evaluation.stamp import write_result
from pipeline.tables.tracked import find_disagreements
from pipeline.tracking.lookup import Recorded


@pytest.fixture
def scores(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path("artifacts/evaluate")


def disagreements(scores, table, runs):
    return list(find_disagreements(table, scores, sorted(scores.rglob("metrics.json")), runs))


def test_numbers_of_the_run_are_confirmed(scores, make_result):
    result = make_result("mdpr", 0.5)
    write_result(scores / "mdpr" / "metrics.json", result)
    run = Recorded("evaluate mdpr", {**result.metrics, "loss": 3.0}, {})
    assert disagreements(scores, [result], [run]) == []


def test_a_number_that_the_run_did_not_record_is_named(scores, make_result):
    result = make_result("mdpr", 0.5)
    write_result(scores / "mdpr" / "metrics.json", result)
    run = Recorded("evaluate mdpr", {**result.metrics, "mAP": 0.50001}, {})
    found = ["mdpr on people, standard, seed 1: mAP is 0.5 in the table and 0.50001 in run 'evaluate mdpr'"]
    assert disagreements(scores, [result], [run]) == found


def test_a_number_that_its_metrics_file_does_not_hold_is_named(scores, make_result):
    write_result(scores / "mdpr" / "metrics.json", make_result("mdpr", 0.5))
    better = make_result("mdpr", 0.6)
    texts = disagreements(scores, [better], [Recorded("evaluate mdpr", better.metrics, {})])
    for name, text in zip(NAMES, texts, strict=True):
        assert f"{name} is 0.6 in the table and 0.5 in " in text


def test_a_table_without_its_metrics_file_or_its_run_is_not_confirmed(scores, make_result):
    here, gone = make_result("mdpr"), make_result("baseline")
    write_result(scores / "mdpr" / "metrics.json", here)
    first, second = disagreements(scores, [here, gone], [])
    assert "mdpr on people, standard, seed 1: no run is recorded that made" in first
    assert second == "baseline on people, standard, seed 1: no metrics.json holds it"


def test_the_run_that_made_the_file_answers_even_if_a_newer_one_scored_otherwise(scores, make_result):
    result = make_result("mdpr", 0.5)
    write_result(scores / "mdpr" / "metrics.json", result)
    Path("dvc.lock").write_text("stages: {evaluate_mdpr: {outs: [{path: artifacts/evaluate/mdpr, md5: abc.dir}]}}")
    made = Recorded("evaluate mdpr", result.metrics, {"artifacts/evaluate/mdpr": "abc.dir"})
    newer = Recorded("evaluate mdpr", make_result("mdpr", 0.7).metrics, {"artifacts/evaluate/mdpr": "def.dir"})
    assert disagreements(scores, [result], [newer, made]) == []
    assert len(disagreements(scores, [result], [newer])) == len(NAMES)


def test_searches_and_references_are_found_by_where_they_lie(scores, make_result):
    searched = make_result("smmd", 0.4, search="all-search")
    write_result(scores / "smmd" / "all-search" / "metrics.json", searched)
    chance = make_result("chance", 0.02)
    write_result(scores / "chance@people" / "metrics.json", chance)
    runs = [
        Recorded("evaluate smmd", {f"all-search/{name}": 0.4 for name in searched.metrics}, {}),
        Recorded("references people", {f"chance_{name}": 0.02 for name in chance.metrics}, {}),
    ]
    assert disagreements(scores, [searched, chance], runs) == []
