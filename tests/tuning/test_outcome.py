import json
import math
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from pipeline.tuning.compare_tuned import Gain
from pipeline.tuning.outcome import Outcome, Trial

RATE = "training.learning_rate"


def outcome(*trials):
    plan = SimpleNamespace(
        name="small",
        epochs=3,
        criterion="val_mAP",
        space={RATE: None},
        params=SimpleNamespace(experiment="mdpr"),
        found=lambda values: {"training": {"learning_rate": values[RATE]}},
    )
    rows = [Trial(number, {RATE: 0.1 * number}, scores, failure) for number, (scores, failure) in enumerate(trials, 1)]
    return Outcome(plan, rows)


def test_the_best_is_the_last_score_of_those_that_came_to_the_end():
    found = outcome(([0.2, 0.9, 0.3], ""), ([0.8, 0.8], ""), ([0.1, 0.2, 0.4], ""), ([0.1, 0.2, 0.4], ""))
    assert found.best.number == 3
    assert found.gain == pytest.approx(0.1)


def test_the_start_may_be_the_best_and_then_nothing_is_gained():
    found = outcome(([0.2, 0.3, 0.5], ""), ([0.1, 0.2, 0.4], ""))
    assert (found.best.number, found.gain) == (1, 0.0)
    assert "gain +0.0000 on the validation split" in found.report()


def test_a_start_that_failed_leaves_the_gain_open(tmp_path):
    found = outcome(([0.2], "NonFiniteLossError: loss = nan"), ([0.1, 0.2, 0.4], ""))
    assert math.isnan(found.gain)
    found.write(tmp_path)
    assert json.loads((tmp_path / "search.json").read_text())["gain"] is None


def test_where_no_trial_came_to_the_end_it_is_said_what_became_of_them():
    with pytest.raises(
        ValueError, match=r"search small: no trial came to the end:(\n.*)*failed: RuntimeError: no memory"
    ):
        _ = outcome(([], "RuntimeError: no memory"), ([0.1], "")).best


def test_the_table_says_of_each_trial_what_it_tried_how_far_it_came_and_how_it_ended():
    found = outcome(([0.2, 0.3, 0.3], ""), ([0.1], ""), ([], "ValueError: nothing to contrast"), ([0.1, 0.2, 0.4], ""))
    assert [(row["trial"], row["epochs"], row["ended"]) for row in found.rows()] == [
        (4, 3, "finished"),
        (1, 3, "finished"),
        (2, 1, "stopped early"),
        (3, 0, "failed: ValueError: nothing to contrast"),
    ]
    assert found.table().splitlines()[0].split() == ["trial", "learning_rate", "val_mAP", "epochs", "ended"]


def test_what_is_written_can_be_laid_over_the_experiment(tmp_path):
    found = outcome(([0.2, 0.3, 0.3], ""), ([0.1, 0.2, 0.4], ""))
    found.write(tmp_path)
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == {"training": {"learning_rate": 0.2}}
    assert (
        (tmp_path / "best.yaml").read_text().startswith("# search small: trial 2 of 2, val_mAP 0.4000 (start 0.3000)")
    )
    assert pd.read_csv(tmp_path / "trials.csv")["trial"].tolist() == [2, 1]


def test_a_gain_stands_beside_the_scores_on_both_sides_zero_included(tmp_path):
    outcome(([0.2, 0.3, 0.3], ""), ([0.1, 0.2, 0.4], "")).write(tmp_path / "small")
    before, after = {"mAP": 0.5, "rank1": 0.7, "rank5": 0.9}, {"mAP": 0.5, "rank1": 0.6, "rank5": 0.9}
    gain = Gain.read(tmp_path / "small", before=before, after=after)
    assert gain.metrics() == pytest.approx({"test/mAP": 0.0, "test/rank1": -0.1, "val_mAP": 0.1})
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in gain.text().splitlines()[4:]]
    assert table == [
        ["val_mAP (chose)", "30.0", "40.0", "+10.0"],
        ["test/mAP", "50.0", "50.0", "+0.0"],
        ["test/rank1", "70.0", "60.0", "-10.0"],
    ]
