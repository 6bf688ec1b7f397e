import csv

import pytest

from pipeline.evaluation.metrics import NAMES
from pipeline.evaluation.stamp import write_result
from pipeline.tables.results import COLUMNS, collect, read_csv, write_csv


def test_the_csv_has_exactly_the_promised_columns(tmp_path, make_result):
    write_csv([make_result("mdpr", 0.25), make_result("chance", 0.02, mAP_std=0.001)], tmp_path / "new" / "results.csv")
    with (tmp_path / "new" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    metrics = ", ".join(NAMES).replace("mAP", "mAP, mAP_std")
    promised = f"experiment, method, data, protocol, seed, trials, {metrics}, stamp"
    assert ", ".join(rows[0]) == promised == ", ".join(COLUMNS)
    assert set(NAMES) >= {"rank1", "rank5", "rank10", "rank20", "mAP", "mINP"}, "those of published tables"
    assert [row["mAP_std"] for row in rows] == ["", "0.001"]
    assert rows[0]["protocol"].startswith("standard [")


def test_results_survive_the_csv(tmp_path, make_result):
    results = [make_result("mdpr", 1 / 3), make_result("chance", 0.02, mAP_std=1e-3)]
    write_csv(results, tmp_path / "results.csv")
    assert read_csv(tmp_path / "results.csv") == results


def test_references_come_first_in_their_order(tmp_path, make_result):
    names = ["baseline", "mdpr", "pretrained", "raw_pixels", "untrained", "chance", "colour_stripes"]
    for name in names:
        write_result(tmp_path / name / "metrics.json", make_result(name))
    found = [result.experiment for result in collect(sorted(tmp_path.glob("*/metrics.json")))]
    assert found == ["chance", "colour_stripes", "raw_pixels", "untrained", "pretrained", "baseline", "mdpr"]


def test_no_metrics_is_an_error_that_says_what_to_run(tmp_path):
    with pytest.raises(ValueError, match=r"no results to make tables of.*make repro"):
        collect(sorted(tmp_path.glob("*/metrics.json")))
    with pytest.raises(ValueError, match=r"no results at .*make repro"):
        read_csv(tmp_path / "results.csv")


def test_two_files_of_one_result_are_an_error_that_names_both(tmp_path, make_result):
    for folder, seed in (("one", 1), ("two", 1), ("three", 2)):
        write_result(tmp_path / folder / "metrics.json", make_result("mdpr", seed=seed))
    with pytest.raises(ValueError, match=r"one/metrics.json and .*two/metrics.json both hold mdpr on people, seed 1"):
        collect(sorted(tmp_path.glob("*/metrics.json")))


def test_other_columns_are_an_error(tmp_path):
    (tmp_path / "results.csv").write_text("experiment,mAP\nmdpr,0.5\n")
    with pytest.raises(ValueError, match="expected the columns experiment, method"):
        read_csv(tmp_path / "results.csv")
