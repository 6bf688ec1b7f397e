"""The papers' claims: which there are, and the verdicts on them."""

import csv
import json

import numpy as np
import pytest
from scipy import stats

from pipeline.config import load
from pipeline.experiments import experiments, resolve_data, trials
from pipeline.tables.claims import (
    Claim,
    Finding,
    Part,
    detectable,
    differences,
    find_effect,
    judge,
    judge_all,
    plan_seeds,
    read_claims,
    seeds_of_rows,
)
from pipeline.tables.claims_table import claims_table, draw_claims, pilot_table, write_csv
from pipeline.tables.estimates import Estimate
from pipeline.tables.render import to_markdown
from pipeline.tables.seed_scores import SeedScores
from pipeline.tables.study import pilot_rows

CLAIMS = read_claims()
TREE = load()


def claim_of(*parts, smallest=0.005, unit="points"):
    return Claim(paper="mdpr", sentence="It helps", measured="mAP", smallest=smallest, unit=unit, parts=list(parts))


def scores_of(tmp_path, **rows):
    """Scores whose rows have mAP by seed, from 1."""
    places = []
    for row, values in rows.items():
        for seed, value in enumerate(values, 1):
            folder = tmp_path / row / f"seed{seed}"
            folder.mkdir(parents=True)
            (folder / "metrics.json").write_text(json.dumps({"mAP": value}))
            places.append(folder)
    return SeedScores.read(places)


MAP = Part(one="full", other="base", metric="mAP")


def test_there_are_at_most_thirteen_claims_and_one_that_is_exact():
    exact = [claim for claim in CLAIMS.claims if claim.parts[0].direction == "equal"]
    assert len(CLAIMS.claims) - len(exact) <= 13
    assert len(exact) == 1


def test_every_row_of_a_claim_is_declared_with_the_seeds_that_it_needs_and_has_a_pilot_of_others():
    for row, pilot in pilot_rows(TREE).items():
        assert not experiments(TREE)[row].get("change"), "a pilot has the recipes alone"
        own = {trial.seed for trial in trials(TREE, row)}
        its = {trial.seed for trial in trials(TREE, pilot)}
        assert len(own) in CLAIMS.seeds
        assert len(its) == 5
        assert not own & its
    assert pilot_rows(TREE).keys() == set(CLAIMS.rows)


def test_the_pilot_sees_none_of_the_studys_people_once_they_are_frozen():
    for own, others in CLAIMS.pilot.data.items():
        one, other = (resolve_data(TREE, name)["people"] for name in (own, others))
        assert one["seed"] != other["seed"]
        assert {**one, "seed": 0} == {**other, "seed": 0}


def test_all_intervals_hold_at_once():
    level = CLAIMS.level
    parts = [part for claim in CLAIMS.claims for part in claim.parts if part.direction != "equal"]
    assert len(parts) * (1 - level) == pytest.approx(1 - CLAIMS.confidence)


def test_an_effect_is_the_mean_of_paired_differences_with_students_interval(tmp_path):
    ones, others = [0.50, 0.53, 0.51, 0.55], [0.48, 0.49, 0.50, 0.51, 0.9]
    effect = find_effect(
        CLAIMS, claim_of(MAP), MAP, scores_of(tmp_path, full=ones, base=others), {"full": 12, "base": 12}
    )
    values = 100 * (np.array(ones) - np.array(others[:4]))
    low, high = stats.t.interval(CLAIMS.level, 3, values.mean(), stats.sem(values))
    assert (effect.estimate.mean, effect.estimate.low, effect.estimate.high) == pytest.approx(
        (values.mean(), low, high)
    )
    assert effect.missing == 8


def test_a_claim_of_less_counts_less_as_more(tmp_path):
    scores = scores_of(tmp_path, full=[0.1, 0.2], base=[0.3, 0.5])
    lower = MAP.model_copy(update={"direction": "lower"})
    assert differences(lower, scores) == pytest.approx([0.2, 0.3])
    assert differences(MAP, scores) == pytest.approx([-0.2, -0.3])


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.1, 3.0, "shown"),
        (0.1, 0.4, "shown, small"),
        (-1.0, 0.4, "refuted"),
        (-3.0, -1.0, "refuted"),
        (-1.0, 3.0, "undecided"),
        (0.0, 3.0, "undecided"),
    ],
)
def test_the_verdict_is_by_the_ends_of_the_interval(low, high, word):
    assert judge(Estimate((low + high) / 2, 1.0, low, high, 12), smallest=0.5) == word


@pytest.mark.parametrize(
    ("words", "together"),
    [
        (("shown", "shown"), "shown"),
        (("shown", "shown, small"), "shown, small"),
        (("shown", "undecided"), "undecided"),
        (("undecided", "refuted"), "refuted"),
        (("refuted", "not run"), "not run"),
    ],
)
def test_a_claim_of_two_parts_needs_both_and_falls_with_one(tmp_path, words, together):
    claim = claim_of(MAP, MAP)
    (found,) = (find_effect(CLAIMS, claim, MAP, scores_of(tmp_path), {}) for _ in range(1))
    effects = tuple(type(found)(MAP, None, None, 0, word) for word in words)
    assert Finding(claim, effects).word == together


def test_an_exact_claim_is_shown_by_no_difference_at_all(tmp_path):
    equal = MAP.model_copy(update={"direction": "equal"})
    claim = claim_of(equal, smallest=0.0, unit="weights")
    same, other = ([0.5, 0.5], [0.5, 0.6])
    for ones, word in ((same, "shown"), (other, "refuted")):
        scores = scores_of(tmp_path / word, full=ones, base=same)
        assert find_effect(CLAIMS, claim, equal, scores, {}).word == word


def test_the_detectable_effect_is_shown_as_often_as_it_says():
    rng, num, std = np.random.default_rng(0), 12, 1.0
    effect = detectable(std, num, level=CLAIMS.level, power=CLAIMS.power)
    runs = effect + std * rng.normal(size=(4000, num))
    half = stats.t.ppf((1 + CLAIMS.level) / 2, num - 1) * runs.std(axis=1, ddof=1) / num**0.5
    assert np.mean(runs.mean(axis=1) - half > 0) == pytest.approx(CLAIMS.power, abs=0.03)


def test_a_wide_pilot_asks_for_the_larger_number_of_seeds_and_its_means_for_nothing(tmp_path):
    rng = np.random.default_rng(1)
    claims = CLAIMS.model_copy(update={"claims": [claim_of(MAP)]})
    base = rng.uniform(0.4, 0.6, 5)
    spread = np.array([-2, -1, 0, 1, 2])
    for width, seeds in ((0.001, 12), (0.02, 20)):
        for mean in (0.0, 0.3):
            folder = tmp_path / f"{width}{mean}"
            plans = plan_seeds(claims, scores_of(folder, full=base + mean + width * spread, base=base))
            assert [plan.seeds for plan in plans] == [seeds]
            assert plans[0].std == pytest.approx(100 * width * np.std(spread, ddof=1))
    assert seeds_of_rows(plans) == {"full": 20, "base": 20}
    assert "+30" not in to_markdown([pilot_table(plans, claims.seeds)])


def test_the_table_has_a_line_for_each_claim_whatever_was_run(tmp_path):
    findings = judge_all(CLAIMS, scores_of(tmp_path, mdpr=[0.6, 0.61, 0.62], baseline=[0.5, 0.51, 0.53]), {"mdpr": 12})
    table = claims_table(findings)
    assert sum(len(group) for group in table.groups) == len(CLAIMS.claims) <= 15
    text = to_markdown([table])
    assert "| MDPR is above the baseline | mAP | +9.7 |" in text
    assert text.count("not run") == len(CLAIMS.claims) - 1
    write_csv(findings, tmp_path / "claims.csv")
    rows = list(csv.DictReader((tmp_path / "claims.csv").open()))
    assert len(rows) == sum(len(claim.parts) for claim in CLAIMS.claims)
    draw_claims(findings, tmp_path / "claims.png")
    assert (tmp_path / "claims.png").stat().st_size > 10_000
