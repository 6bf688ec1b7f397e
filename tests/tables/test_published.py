import pytest

from pipeline.tables.published import COLUMNS, published_beside, read_published


def test_every_published_row_is_read_and_has_a_source():
    rows = read_published()
    assert len(rows) == 245
    assert sum(len(row.metrics) for row in rows) == 810
    assert all(row.source and row.method and row.metrics for row in rows)


def test_no_row_stands_twice():
    keys = [(row.data, row.protocol, row.supervision, row.method, row.note, row.source) for row in read_published()]
    assert len(set(keys)) == len(keys)


def test_the_paper_stands_where_its_experiment_will_look():
    (row,) = [row for row in read_published() if row.method == "MDPR"]
    assert (row.data, row.protocol, row.supervision) == ("dukemtmc", "standard", "supervised")
    assert row.metrics == {"rank1": 94.4, "mAP": 88.7}


def test_only_rows_of_the_same_data_protocol_and_supervision_stand_beside_ours():
    beside = published_beside(read_published(), data="market1501", protocol="standard", supervision={"unsupervised"})
    assert {(row.data, row.protocol, row.supervision) for row in beside} == {("market1501", "standard", "unsupervised")}
    assert [row.metrics["mAP"] for row in beside] == sorted(row.metrics["mAP"] for row in beside)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("market1501,standard,supervised,X,,90,,,,80,,,", "line 2: a published number needs its source"),
        ("market1501,standard,supervised,X,,9000,,,,80,,,page", "line 2: expected percentages, got {'rank1': 9000.0}"),
    ],
)
def test_a_row_without_source_or_percentage_is_an_error(tmp_path, row, message):
    (tmp_path / "rows.csv").write_text(",".join(COLUMNS) + "\n" + row + "\n")
    with pytest.raises(ValueError, match=message):
        read_published(tmp_path / "rows.csv")
