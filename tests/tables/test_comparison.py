from dataclasses import replace

import pytest

from pipeline.tables.comparison import compare, comparison_table, seeds_table
from pipeline.tables.estimates import estimate_over_splits
from pipeline.tables.papers import Comparison, Ours
from pipeline.tables.published import Published
from pipeline.tables.render import to_markdown

DUKE = Comparison(
    data="dukemtmc",
    protocol="standard",
    supervision=["supervised"],
    ours=[Ours(row="MDPR, ours", experiment="mdpr_dukemtmc", published="MDPR")],
)
MDPR = Published("dukemtmc", "standard", "supervised", "MDPR", "arXiv 2024", {"mAP": 88.7}, "", "own", "the abstract")
AGW = replace(MDPR, method="AGW", metrics={"mAP": 79.9, "mINP": 45.7}, report="third party", source="a table")


def line_of(table, name):
    (line,) = [line for line in to_markdown([table]).splitlines() if line.startswith(f"| {name}")]
    return line


def three_seeds(make_result, **changed):
    return [
        make_result("mdpr_dukemtmc", score, seed=seed, data="dukemtmc", **changed)
        for seed, score in enumerate((0.86, 0.87, 0.88), 1)
    ]


def test_a_declared_experiment_without_results_is_not_run(make_result):
    found = compare(DUKE, [make_result("mdpr_dukemtmc")], [MDPR, AGW])  # scored on people only
    assert line_of(comparison_table(found), "MDPR, ours") == "| MDPR, ours | mdpr_dukemtmc |  |  | not run |"
    assert seeds_table(found, 0.5) is None


def test_each_number_is_quoted_from_its_source(make_result):
    own = replace(AGW, metrics={"mAP": 79.94}, report="own", source="its page")
    table = comparison_table(compare(DUKE, [], [MDPR, AGW, own]))
    assert table.footnotes == ("its page", "a table (third party)", "the abstract")
    assert (
        line_of(table, "AGW<sup>1</sup>") == "| AGW<sup>1</sup> | arXiv 2024 | <ins>79.94</ins> | 45.7<sup>2</sup> |  |"
    )


def test_ours_are_means_over_seeds_with_recipe_and_verdict(make_result):
    found = compare(DUKE, three_seeds(make_result), [MDPR, AGW])
    line = line_of(comparison_table(found), "MDPR, ours")
    assert "| <ins>87.0</ins> ± 1.0 |" in line
    assert line.endswith("| 3 | pretrain | 64x32 | fused, 576-d | cosine | 8 (last) |")
    seeds = to_markdown([seeds_table(found, 0.5)])
    assert "| MDPR, ours | mAP | 87.00 | 1.00 | 84.5 to 89.5 | 3 | 88.7 | below (-1.7; interval covers it) |" in seeds
    assert "| MDPR, ours | rank-1 | 87.00 | 1.00 | 84.5 to 89.5 | 3 |  |  |" in seeds


def test_rows_that_were_trained_in_another_format_are_marked(make_result):
    two = DUKE.model_copy(update={"ours": [*DUKE.ours, Ours(row="Baseline, ours", experiment="baseline_dukemtmc")]})
    slow = make_result("baseline_dukemtmc", data="dukemtmc", trained_in=("float32", "cpu"))
    table = comparison_table(compare(two, [*three_seeds(make_result, trained_in=("bfloat16", "cuda")), slow], [MDPR]))
    assert table.footnotes[1:] == ("Trained in bfloat16 on cuda, others not.", "Trained in float32 on cpu, others not.")
    assert line_of(table, "MDPR, ours").startswith("| MDPR, ours<sup>2</sup> |")
    assert line_of(table, "Baseline, ours").startswith("| Baseline, ours<sup>3</sup> |")


def test_re_ranked_results_never_stand_in_a_plain_table(make_result):
    results = three_seeds(make_result, query_expansion="average of 5")
    assert "not run" in line_of(comparison_table(compare(DUKE, results, [MDPR])), "MDPR, ours")


def test_results_of_different_protocols_are_refused(make_result):
    results = [*three_seeds(make_result), make_result("mdpr_dukemtmc", seed=4, data="dukemtmc", fingerprint="xyz")]
    with pytest.raises(ValueError, match="fingerprint"):
        compare(DUKE, results, [MDPR])


def test_generated_results_never_stand_beside_published_numbers(make_result):
    with pytest.raises(ValueError, match="calls dukemtmc, protocol standard real, but mdpr_dukemtmc was scored on gen"):
        compare(DUKE, [make_result("mdpr_dukemtmc", data="dukemtmc", is_generated=True)], [MDPR])


def test_generated_data_says_so_in_both_titles(make_result):
    table = Comparison(data="people", protocol="standard", is_generated=True, ours=[Ours(row="A", experiment="mdpr")])
    found = compare(table, [make_result("mdpr")], [MDPR])
    for shown in (comparison_table(found), seeds_table(found, 0.5)):
        assert "generated data: not comparable to published numbers" in shown.title
    assert "| A | mAP | 50.00 | none: one seed | 1 |" in to_markdown([seeds_table(found, 0.5)])


def test_splits_of_a_data_set_are_one_row(make_result):
    table = Comparison(data="regdb", protocol="V->T", ours=[Ours(row="ours", experiment="smmd_regdb", splits=2)])
    results = [
        make_result(name, score, data="regdb", search="V->T", fingerprint=f"split {split}")
        for name, split, score in (("smmd_regdb", 1, 0.7), ("smmd_regdb", 2, 0.8), ("agw_regdb", 3, 0.1))
    ]
    found = compare(table, results, []).ours["ours"]
    assert found.estimates["mAP"].mean == pytest.approx(75.0)
    assert found.seeds == "2 of 2 splits"


def test_halves_of_the_same_persons_are_one_row_with_seeds_averaged_and_a_wider_interval(make_result):
    ours = [Ours(row="ours", experiment="mdpr_pku", splits=2)]
    table = Comparison(data="pku", protocol="standard", test_to_train=1.0, ours=ours)
    results = [
        make_result("mdpr_pku", score, seed=seed, data="pku", fingerprint=f"split {split}", counts={"query": split})
        for split, seed, score in ((1, 1, 0.68), (1, 2, 0.72), (2, 1, 0.82), (2, 2, 0.78))
    ]
    found = compare(table, results, [])
    scored = found.ours["ours"].estimates["mAP"]
    expected = estimate_over_splits([[70.0], [80.0]], test_to_train=1.0)
    assert (scored.mean, scored.low, scored.high) == pytest.approx((75.0, expected.low, expected.high))
    assert found.ours["ours"].seeds == "2 of 2 splits"
    assert "by the corrected resampled t" in seeds_table(found, 0.5).notes[0]


def test_a_row_that_repeats_what_is_not_published_is_an_error():
    with pytest.raises(ValueError, match="repeats MDPR, of which nothing is published at dukemtmc"):
        compare(DUKE, [], [AGW])
