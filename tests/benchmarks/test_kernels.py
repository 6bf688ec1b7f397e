import json
import sys

import kernels
import numpy as np
import pytest
from kernel_cases import measuring
from kernel_cases.cases import cases
from kernel_cases.references import rank_by_sorting
from kernel_cases.synthetic_embeddings import retrieval_set

from pipeline.evaluation.ranking import rank_distances

KEYS = {"work", "ours_s", "floor_s", "ratio", "added_gib", "target", "met"}


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["kernels.py", *arguments])
    kernels.main()


def test_a_quick_run_writes_the_rows_it_was_asked_for(monkeypatch, tmp_path, capsys):
    file = tmp_path / "kernels.json"
    chosen = ("sysu-10-trials", "dbscan-12936", "reranking-market")
    run(monkeypatch, "--quick", "--only", *chosen, "--json", str(file))
    rows, printed = json.loads(file.read_text()), capsys.readouterr().out
    assert tuple(row["work"].split(" ")[0] for row in rows) == chosen
    for row in rows:
        assert set(row) == KEYS
        assert row["work"] in printed
        assert row["ours_s"] > 0
        assert isinstance(row["met"], bool)


def test_a_resumed_run_measures_only_what_is_missing(monkeypatch, tmp_path):
    file = tmp_path / "kernels.json"
    run(monkeypatch, "--quick", "--only", "dbscan-12936", "--json", str(file))
    before = json.loads(file.read_text())
    run(monkeypatch, "--quick", "--missing", "--only", "dbscan-12936", "regdb-10-trials", "--json", str(file))
    after = json.loads(file.read_text())
    assert after[0] == before[0]
    assert [row["work"].split(" ")[0] for row in after] == ["dbscan-12936", "regdb-10-trials"]


def test_rows_that_are_not_there_are_named_beside_those_that_are(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "--only", "market", "lfw")
    assert "no rows lfw; there are market-distances, market" in capsys.readouterr().err


@pytest.mark.parametrize("work", ["market-distances", "sysu-10-trials", "regdb-10-trials"])
def test_the_reference_finds_the_numbers_that_it_is_timed_for(work):
    (row,) = [row for row in cases() if row.name == work]
    given = {"camera_rule": row.settings["rule"], "with_identities": row.settings["with_identities"]}
    _, labels = retrieval_set(50, 90, 12)
    distances = np.random.default_rng(0).random((50, 90), dtype=np.float32)
    mean_precision, mean_penalty, curve = rank_by_sorting(distances, **labels, **given)
    ours = rank_distances(distances, **labels, **given)
    assert mean_precision == pytest.approx(ours.metrics()["mAP"], abs=1e-12)
    assert mean_penalty == pytest.approx(ours.metrics()["mINP"], abs=1e-12)
    np.testing.assert_allclose(curve[:20], [ours.cmc(rank) for rank in range(1, 21)])


def test_a_floor_that_does_a_share_of_its_blocks_counts_for_all(monkeypatch):
    seconds = {"ours": 3.0, "floor": 2.0}
    monkeypatch.setattr(measuring, "timed", lambda work, device: seconds[work()])
    monkeypatch.setattr(measuring, "quickest", measuring.timed)
    pair = measuring.Pair(lambda: "ours", lambda: "floor", share=0.25)
    assert measuring.measure(pair, "cpu")[:2] == (3.0, 8.0)
