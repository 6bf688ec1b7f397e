from dataclasses import replace

import pytest

from pipeline.tables.published import COLUMNS, Published, published_beside, quote, read_published


@pytest.fixture
def row():
    return Published("sysu_mm01", "all-search single-shot", "supervised", "X", "", {"mAP": 53.0}, "", "own", "page")


def test_every_published_number_is_read_and_has_a_source():
    rows = read_published()
    assert len(rows) == 254
    assert sum(len(row.metrics) for row in rows) == 843
    assert all(row.source and row.method and row.metrics for row in rows)


def test_no_row_stands_twice():
    keys = [(row.data, row.protocol, row.supervision, row.method, row.note, row.source) for row in read_published()]
    assert len(set(keys)) == len(keys)


def test_the_paper_stands_where_its_experiment_will_look():
    (row,) = [row for row in read_published() if row.method == "MDPR"]
    assert (row.data, row.protocol, row.supervision) == ("dukemtmc", "standard", "supervised")
    assert row.metrics == {"rank1": 94.4, "mAP": 88.7}


def test_only_rows_of_the_same_data_protocol_and_supervision_stand_beside_ours():
    beside = published_beside(read_published(), data="market1501", protocol="standard", supervision=["unsupervised"])
    assert {row.supervision for row in beside} == {"unsupervised"}
    assert [row.metrics["mAP"] for row in beside] == sorted(row.metrics["mAP"] for row in beside)
    assert not [row.method for row in beside if "re-ranking" in row.method or row.metrics["mAP"] > 90]


def test_kinds_of_supervision_stand_in_the_order_asked_for():
    kinds = ["unsupervised", "adapted from dukemtmc"]
    beside = published_beside(read_published(), data="market1501", protocol="standard", supervision=kinds)
    assert list(dict.fromkeys(row.supervision for row in beside)) == kinds


def test_of_a_number_and_its_rounding_the_more_precise_one_is_taken_with_its_source(row):
    third = replace(row, metrics={"mAP": 53.0, "rank10": 90.4}, report="third party", source="a table")
    (found,) = quote([third, replace(row, metrics={"mAP": 53.02})])
    assert found.metrics == {"rank10": 90.4, "mAP": 53.02}
    assert found.sources == {"rank10": "a table (third party)", "mAP": "page"}


def test_of_equal_numbers_the_authors_own_report_is_the_source(row):
    (found,) = quote([replace(row, report="third party", source="a table"), row])
    assert found.sources == {"mAP": "page"}


def test_sources_that_disagree_are_both_shown_and_say_so(row):
    found = quote([row, replace(row, metrics={"mAP": 53.1}, source="elsewhere")])
    assert [other.metrics["mAP"] for other in found] == [53.0, 53.1]
    assert all("sources disagree, each is shown" in other.notes for other in found)


def test_published_rows_are_merged_where_they_are_known_to_agree():
    rows = [row for row in read_published() if row.data == "sysu_mm01" and row.protocol == "all-search single-shot"]
    (ddag,) = [row for row in quote(rows) if row.method == "DDAG"]
    assert ddag.metrics == {"rank1": 54.75, "rank10": 90.4, "rank20": 95.8, "mAP": 53.02, "mINP": 39.62}


def test_a_metric_that_nobody_has_published_needs_no_column(tmp_path):
    columns = [name for name in COLUMNS if name != "mINP"]
    row = {**dict.fromkeys(columns, ""), "method": "X", "mAP": "80", "report": "own", "source": "page"}
    (tmp_path / "rows.csv").write_text("\n".join([",".join(columns), ",".join(row.values())]) + "\n")
    (found,) = read_published(tmp_path / "rows.csv")
    assert found.metrics == {"mAP": 80.0}
    (tmp_path / "rows.csv").write_text(",".join(name for name in columns if name != "venue") + "\n")
    with pytest.raises(ValueError, match="expected the columns data, protocol"):
        read_published(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"rank1": "90", "report": "own"}, "line 2: a published number needs its source"),
        ({"rank1": "90", "report": "mine", "source": "page"}, "line 2: a published number needs its source"),
        ({"rank1": "9000", "report": "own", "source": "page"}, "line 2: expected percentages, got {'rank1': 9000."),
    ],
)
def test_a_row_without_source_or_percentage_is_an_error(tmp_path, line, message):
    row = dict.fromkeys(COLUMNS, "") | line
    (tmp_path / "rows.csv").write_text("\n".join([",".join(row), ",".join(row.values())]) + "\n")
    with pytest.raises(ValueError, match=message):
        read_published(tmp_path / "rows.csv")
