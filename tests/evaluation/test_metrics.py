import subprocess
import sys

import numpy as np
import pytest

from pipeline.evaluation.metrics import HEADINGS, MAIN, METRICS, NAMES, of_ranking
from pipeline.evaluation.ranking import Ranking

RANKING = Ranking(
    average_precision=np.array([1.0, 0.5, np.nan, 0.25]),
    inverse_negative_penalty=np.array([1.0, 0.2, np.nan, 0.1]),
    first_match=np.array([1, 6, 0, 12]),
    is_valid=np.array([True, True, False, True]),
)


def test_names_and_headings_are_each_there_once():
    assert len(set(NAMES)) == len(set(HEADINGS.values())) == len(METRICS)
    assert MAIN in NAMES


def test_a_query_without_a_match_is_counted_in_none():
    found = of_ranking(RANKING)
    assert found["mAP"] == pytest.approx((1 + 0.5 + 0.25) / 3)
    assert found["mINP"] == pytest.approx(1.3 / 3)
    assert [found[name] for name in ("rank1", "rank5", "rank10", "rank20")] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 1])


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_a_metric_is_a_share_and_at_its_best_where_every_match_is_found_first(metric):
    if metric.of is None:
        pytest.skip("measured elsewhere than in a ranking")
    perfect = Ranking(*(np.ones(3) for _ in range(2)), np.ones(3, dtype=np.int64), np.ones(3, dtype=bool))
    assert 0 <= metric.of(RANKING) <= 1
    assert metric.of(perfect) == (1 if metric.larger_is_better else 0)


def test_those_of_a_ranking_are_among_its_metrics_in_their_order():
    found = RANKING.metrics()
    assert list(found) == [*of_ranking(RANKING), "num_queries", "num_valid_queries"]
    assert list(of_ranking(RANKING)) == [metric.name for metric in METRICS if metric.of]


def test_metrics_need_nothing_but_python():
    code = "import sys, pipeline.evaluation.metrics; sys.exit(bool({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
