import csv

import pytest

from pipeline.tables.differences import paired_differences, read_csv, to_markdown, write_csv

SCORES = {("teacher", 1): 0.30, ("teacher", 2): 0.26, ("teacher", 3): 0.35, ("student", 2): 0.28, ("student", 3): 0.33}


@pytest.fixture
def results(make_result):
    return [make_result(name, score, seed=seed) for (name, seed), score in SCORES.items()]


def test_experiments_are_compared_over_the_seeds_that_both_have(results):
    (found,) = paired_differences(results, "student", "teacher", "mAP")
    assert found.seeds == (2, 3)
    assert found.values == pytest.approx((0.02, -0.02))
    assert found.mean == pytest.approx(0, abs=1e-12)
    assert found.std == pytest.approx(0.02 * 2**0.5)


def test_what_a_seed_does_to_both_cancels_out(make_result):
    lifted = [make_result(name, 0.1 * seed + rise, seed=seed) for name, rise in (("a", 0.05), ("b", 0.0))
              for seed in (1, 2, 3)]  # fmt: skip
    (found,) = paired_differences(lifted, "a", "b", "mAP")
    assert found.mean == pytest.approx(0.05)
    assert found.std == pytest.approx(0, abs=1e-12)


def test_experiments_without_a_common_seed_are_refused(results):
    with pytest.raises(ValueError, match="teacher and other share no seed"):
        paired_differences(results, "teacher", "other", "mAP")


def test_numbers_of_different_protocols_are_not_subtracted(make_result):
    rows = [make_result("a"), make_result("b", data="elsewhere")]
    with pytest.raises(ValueError, match="different protocols"):
        paired_differences(rows, "a", "b", "mAP")


def test_every_search_of_the_data_has_a_difference_of_its_own(make_result):
    rows = [
        make_result(name, score, seed=seed, search=search)
        for search, name, score in (("V->T", "a", 0.5), ("V->T", "b", 0.4), ("T->V", "a", 0.3), ("T->V", "b", 0.4))
        for seed in (1, 2)
    ]
    found = paired_differences([*rows, make_result("a", search="indoor-search")], "a", "b", "mAP")
    assert {row.protocol: row.mean for row in found} == pytest.approx({"T->V": -0.1, "V->T": 0.1})


def test_the_table_is_in_points_and_names_each_seed(results, tmp_path):
    rows = paired_differences(results, "student", "teacher", "mAP")
    rows += paired_differences(results[:1], "teacher", "teacher", "mAP")
    lines = to_markdown(rows).splitlines()
    assert lines[2] == "| student - teacher | standard | mAP | +0.0 ± 2.8 | +2.0 (2), -2.0 (3) |"
    assert lines[3] == "| teacher - teacher | standard | mAP | +0.0 | +0.0 (1) |"
    write_csv(rows, tmp_path / "differences.csv")
    (first, second) = csv.DictReader((tmp_path / "differences.csv").open())
    assert (first["one"], first["seeds"], second["std"]) == ("student", "2 3", "")
    assert read_csv(tmp_path / "differences.csv") == rows
