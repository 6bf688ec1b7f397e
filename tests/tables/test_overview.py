import subprocess
import sys
from dataclasses import replace

from pipeline.evaluation.metrics import NAMES
from pipeline.tables.overview import HEADER, build_tables
from pipeline.tables.published import read_published
from pipeline.tables.render import to_latex, to_markdown, to_text


def row_of(markdown, name):
    (line,) = [line for line in markdown.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def names(group):
    return [row[0].text for row in group]


def test_percentages_have_one_decimal_and_the_best_is_bold(make_result):
    markdown = to_markdown(build_tables([make_result("baseline", 0.5), make_result("mdpr", 0.56789)], []))
    assert row_of(markdown, "baseline")[1:-2] == ["<ins>50.0</ins>"] * len(NAMES)
    assert row_of(markdown, "mdpr")[1:-2] == ["**56.8**"] * len(NAMES)


def test_seeds_are_averaged_and_their_spread_is_shown(make_result):
    results = [make_result("mdpr", score, seed=seed) for seed, score in enumerate((0.5, 0.52, 0.54))]
    row = row_of(to_markdown(build_tables(results, [])), "mdpr")
    assert row[1:-1] == ["52.0 ± 2.0" if name == "mAP" else "52.0" for name in NAMES] + ["3"]


def test_the_spread_over_trials_of_one_result_is_shown(make_result):
    row = row_of(to_markdown(build_tables([make_result("chance", 0.02, mAP_std=0.001)], [])), "chance")
    assert row[HEADER.index("mAP")] == "2.0 ± 0.1"


def test_weights_of_somebody_else_have_no_epoch_in_the_table(make_result):
    result = make_result("mdpr")
    result = replace(result, recipe=replace(result.recipe, epoch=None, epoch_choice="file model.pth"))
    row = row_of(to_markdown(build_tables([result], [])), "mdpr")
    assert row[-1].endswith("epoch not known (file model.pth)")


def test_generated_data_stands_apart_says_so_and_has_no_published_numbers_beside_it(make_result):
    results = [make_result("mdpr"), make_result("mdpr_duke", 0.85, data="dukemtmc", method="mdpr")]
    real, generated = build_tables(results, read_published())
    assert generated.title.startswith("people")
    assert "generated data: not comparable to published numbers" in generated.title
    assert [names(group) for group in generated.groups] == [["mdpr"]]
    assert "generated" not in real.title
    assert names(real.groups[0]) == ["mdpr_duke"]
    assert real.groups[1][-1][0].text == "MDPR"
    assert real.groups[1][-1][-1].text == "published, arXiv 2024"


def test_references_methods_and_published_numbers_are_groups_in_this_order(make_result):
    results = [
        make_result("mdpr", 0.8, data="market1501"),
        make_result("chance", 0.01, data="market1501", supervision="none"),
    ]
    (table,) = build_tables(results, read_published())
    assert [names(group)[0] for group in table.groups] == ["chance", "mdpr", "BoT R50"]


def test_notes_on_published_numbers_stand_below_the_table(make_result):
    result = make_result("mskd", 0.8, data="dukemtmc", supervision="unsupervised")
    (table,) = build_tables([result], read_published())
    assert any(note.startswith("MMCL: printed as here") for note in table.notes)


def test_results_on_other_images_stand_in_tables_of_their_own_that_say_so(make_result):
    tables = build_tables([make_result("baseline"), make_result("mdpr", fingerprint="xyz")], [])
    assert [[names(group) for group in table.groups] for table in tables] == [[["baseline"]], [["mdpr"]]]
    assert tables[0].title != tables[1].title
    for table in tables:
        assert "Not to be compared with the other tables of this name: they differ in fingerprint." in table.notes


def test_rows_that_were_trained_in_another_format_or_on_another_device_are_marked(make_result):
    slow, fast = ("float32", "cpu"), ("bfloat16", "cuda")
    old, unlearned = make_result("agw"), make_result("untrained", supervision="none", trained_in=slow)
    alike = [old, unlearned, make_result("mdpr", trained_in=fast), make_result("smmd", trained_in=fast)]
    (table,) = build_tables(alike, [])
    assert table.footnotes == ()
    (table,) = build_tables([*alike, make_result("baseline", trained_in=slow)], [])
    assert sorted(table.footnotes) == [
        "Trained in bfloat16 on cuda, others not.",
        "Trained in float32 on cpu, others not.",
    ]
    marked = {row[0].text: table.footnotes[row[0].footnotes[0] - 1] for row in table.groups[1] if row[0].footnotes}
    assert marked == {
        "mdpr": "Trained in bfloat16 on cuda, others not.",
        "smmd": "Trained in bfloat16 on cuda, others not.",
        "baseline": "Trained in float32 on cpu, others not.",
    }
    assert table.groups[0][0][0].footnotes == ()


def test_other_protocols_by_name_are_other_tables(make_result):
    tables = build_tables([make_result("mdpr"), make_result("mdpr", query_expansion="average of 5")], [])
    assert [table.title.split(" [")[0] for table in tables] == [
        "people, protocol standard",
        "people, protocol standard query expansion",
    ]


def test_latex_escapes_names_and_separates_the_groups(make_result):
    latex = to_latex(build_tables([make_result("colour_stripes", 0.05, mAP_std=0.01), make_result("mdpr", 0.5)], []))
    assert r"colour\_stripes$^{1}$ & \underline{5.0} &" in latex
    assert r"\underline{5.0} $\pm$ 1.0 &" in latex
    assert r"\textbf{50.0}" in latex
    assert latex.count(r"\midrule") == 2


def test_text_columns_stand_under_each_other(make_result):
    lines = to_text(
        build_tables([make_result("chance", 0.02, mAP_std=0.001), make_result("mdpr", 1.0)], [])
    ).splitlines()
    header, chance, mdpr = (next(line for line in lines if line.startswith(name)) for name in ("exp", "chance", "mdpr"))
    assert "100.0*" in mdpr
    assert header.index("recipe") == chance.index("64x32") == mdpr.index("64x32")


def test_tables_need_neither_torch_nor_ray_nor_mlflow():
    code = "import sys, stages.tables; sys.exit(bool({'torch', 'ray', 'mlflow', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
