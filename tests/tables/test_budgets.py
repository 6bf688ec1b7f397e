"""Scores by the length of training."""

import json

import pytest

from pipeline.config import load
from pipeline.experiments import resolve, trial, trials
from pipeline.tables.budgets import Curve, budgets_table, curves, draw_budgets, read_budgets
from pipeline.tables.render import to_markdown

BUDGETS = read_budgets()
TREE = load()


@pytest.mark.parametrize("row", BUDGETS.rows)
def test_each_row_is_trained_once(row):
    assert [each.seed for each in trials(TREE, row)] == [1]


@pytest.mark.parametrize("family", BUDGETS.families, ids=lambda family: family.paper)
def test_a_row_is_trained_as_many_times_as_long_as_in_the_default_run(family):
    for row, names in family.rows.items():
        default = resolve(TREE, trial(TREE, row))
        first_pass = 1 if (default["settings"].get("first_pass") or {}) else 0
        for times, name in zip(BUDGETS.times, names, strict=True):
            block = resolve(TREE, trial(TREE, name + family.suffix))
            ordinary = default["training"]["epochs"] - first_pass
            assert block["training"]["epochs"] - first_pass == times * ordinary
            own, longer = dict(default["training"]), dict(block["training"])
            for training in (own, longer):
                training.pop("epochs")
                training["decay"] = {key: value for key, value in training["decay"].items() if key != "milestones"}
            assert own == longer


@pytest.mark.parametrize("family", BUDGETS.families, ids=lambda family: family.paper)
def test_the_studys_rows_have_the_chosen_length(family):
    place = BUDGETS.times.index(family.chosen)
    for row, names in family.rows.items():
        chosen = resolve(TREE, trial(TREE, names[place] + family.suffix))
        studied = resolve(TREE, trial(TREE, row, apart=True))
        for block in (chosen, studied):
            block.pop("data")
            for key in ("first_pass", "student"):
                block["settings"].pop(key, None)
        assert studied == chosen


def kept(folder, value):
    (folder / "seed1").mkdir(parents=True)
    (folder / "seed1" / "metrics.json").write_text(json.dumps({"mAP": value}))
    return [folder / "seed1"]


def test_the_table_says_how_far_the_chosen_length_is_below_the_best(tmp_path):
    names = BUDGETS.families[0].rows["baseline"]
    places = {
        name + BUDGETS.families[0].suffix: kept(tmp_path / name, 0.5 + place / 100) for place, name in enumerate(names)
    }
    found = list(curves(BUDGETS, lambda row: places.get(row, [])))
    assert found[0] == Curve("mdpr", 4, "baseline", pytest.approx((50.0, 51.0, 52.0, 53.0)))
    assert "| mdpr | baseline | 50.0 | 51.0 | 52.0 | 53.0 | 4 x | 1.0 |" in to_markdown(
        [budgets_table(found, BUDGETS.times)]
    )
    draw_budgets(found, BUDGETS.times, tmp_path / "lengths.png")
    assert (tmp_path / "lengths.png").stat().st_size > 10_000
