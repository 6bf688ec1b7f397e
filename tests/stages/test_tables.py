import csv
import json
import shutil

import pytest
import yaml

from pipeline import results
from pipeline.evaluation.metrics import NAMES
from pipeline.evaluation.stamp import Recipe, Result, market_protocol, write_result
from pipeline.experiments import trial
from pipeline.tables.curves import CLUSTER_MEASURES
from stages.__main__ import main

RECIPE = Recipe("supervised", "pretrain", 64, 32, "256-d", "cosine", False, "not used", 8, "last")


def write(folder, name, seed, score, **data):
    """Writes the metrics of an experiment on generated data."""
    protocol = market_protocol(**{"data": "people", "fingerprint": "abc", **data}, counts={}, is_generated=True)
    result = Result(name, name, seed, 1, dict.fromkeys(NAMES, score), protocol, RECIPE)
    write_result(folder / "metrics.json", result)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the metrics of one experiment."""
    write(tmp_path / "artifacts" / "evaluate" / "mdpr", "mdpr", 1, 0.5)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    main(["tables", *words])


def declare(project, rows, data="people", splits=1):
    """Writes a params.yaml with these rows."""
    block = {"method": "baseline", "seed": 1, "start": "none", "augmentation": {}, "training": {}, "settings": {}}
    named = {name: {"recipe": "any", "paper": "baseline", "data": data, **row} for name, row in rows.items()}
    tree = {"data": {data: {"splits": splits}}, "recipes": {"any": block}, "starts": {}, "experiments": named}
    tree |= {"students": {}, "evaluation": {}, "studies": {}}
    (project / "params.yaml").write_text(yaml.safe_dump(tree))
    return tree


def keep(tree, name, seed, score, split=1, **data):
    """Writes a result of a study that was made by what a tree declares, and returns its folder."""
    of = trial(tree, name, seed=seed, split=split, apart=True)
    folder = results.place(of)
    write(folder, name, seed, score, **data)
    made = {"parameters": results.parameters(tree, of), "marks": {}, "data": {}}
    (folder / "made.json").write_text(json.dumps(made))
    return folder


def test_one_command_makes_all_tables_and_says_where_they_are(project, capsys):
    run()
    run("--show")
    assert sorted(path.name for path in (project / "artifacts" / "tables").iterdir()) == [
        "metrics",
        "papers",
        "results.csv",
        "results.md",
        "results.tex",
    ]
    papers = {path.name for path in (project / "artifacts" / "tables" / "papers").iterdir()}
    assert papers == {f"{paper}.{form}" for paper in ("mdpr", "mskd", "smmd") for form in ("md", "tex", "csv")}
    printed = capsys.readouterr().out
    for text in ("50.0", "generated data", "artifacts/tables", "make ui"):
        assert text in printed


def test_the_readme_takes_its_table_from_the_last_results(project):
    (project / "README.md").write_text("a\n<!-- results:begin -->\n<!-- results:end -->\nb\n")
    run()
    run("--page", "README.md")
    table = (project / "artifacts" / "tables" / "results.md").read_text()
    assert (project / "README.md").read_text() == f"a\n<!-- results:begin -->\n{table}<!-- results:end -->\nb\n"


def test_the_metrics_are_small_files_that_dvc_reads(project):
    run()
    (file,) = (project / "artifacts" / "tables" / "metrics").iterdir()
    assert file.name == "mdpr@people.json"
    assert json.loads(file.read_text()) == {"standard": {"seed 1": dict.fromkeys(NAMES, 0.5)}}


def test_the_metrics_of_each_split_are_kept(project):
    tree = declare(project, {"mdpr": {}}, "ten_splits", 10)
    for split, score in ((1, 0.5), (2, 0.25)):
        keep(tree, "mdpr", 1, score, split, data="ten_splits", fingerprint=str(split))
    run("--study")
    (file,) = (project / "artifacts" / "study" / "metrics").iterdir()
    found = json.loads(file.read_text())
    assert sorted(values["seed 1"]["mAP"] for values in found.values()) == [0.25, 0.5]


SCORES = {("teacher", 1): 0.5, ("teacher", 2): 0.25, ("student", 1): 0.75, ("student", 2): 0.25, ("student", 3): 0.9}


@pytest.fixture
def studied(project):
    """A project with a study that is not at its end: the teacher lacks a seed, another row has none."""
    rows = {"teacher": {}, "student": {"against": ["teacher", "teacher_cam"]}, "teacher_cam": {}}
    tree = declare(project, rows)
    for (name, seed), score in SCORES.items():
        keep(tree, name, seed, score)
    return project


def test_the_rows_of_a_study_are_compared_with_those_that_they_name_seed_by_seed(studied, capsys):
    run("--study")
    folder = studied / "artifacts" / "study"
    (row,) = csv.DictReader((folder / "differences.csv").open())
    assert (row["one"], row["other"], row["metric"], row["seeds"]) == ("student", "teacher", "mAP", "1 2")
    assert float(row["mean"]) == 0.125
    line = "| student - teacher | standard | mAP | +12.5 ± 17.7 | +25.0 (1), +0.0 (2) |"
    assert line in (folder / "differences.md").read_text()
    assert "artifacts/study/results.md" in capsys.readouterr().out
    assert not (studied / "artifacts" / "tables").exists()


def test_the_table_of_a_study_has_the_mean_of_a_rows_seeds(studied):
    run("--study")
    lines = (studied / "artifacts" / "study" / "results.md").read_text().splitlines()
    (teacher,) = [line for line in lines if line.startswith("| teacher |")]
    assert "<ins>37.5</ins> ± 17.7" in teacher
    assert teacher.split("|")[-3].strip() == "2"


def test_the_curves_of_all_seeds_of_a_study_are_drawn(studied):
    for name, seed in SCORES:
        place = studied / "results" / name / f"seed{seed}"
        (place / "history.csv").write_text("epoch,loss\n1,3.0\n2,2.0\n")
        (place / "cmc.csv").write_text("rank,cmc\n1,0.5\n2,0.75\n")
    run("--study")
    for name in ("cmc.png", "loss.png"):
        assert (studied / "artifacts" / "study" / name).is_file()
    assert not (studied / "artifacts" / "study" / "clusters.png").exists()


def test_results_that_do_not_hold_are_left_out_and_named(studied, capsys):
    keep(declare(studied, {"old": {}}), "old", 1, 0.1)
    tree = declare(studied, {"teacher": {}, "student": {}, "recoded": {}, "elsewhere": {}})
    recoded, elsewhere = keep(tree, "recoded", 1, 0.2), keep(tree, "elsewhere", 1, 0.3)
    (recoded.parent / "row.json").write_text(json.dumps({"marks": {"recoded": [3.0]}, "data": {}}))
    made = json.loads((recoded / "made.json").read_text())
    (recoded / "made.json").write_text(json.dumps({**made, "marks": {"recoded": [3.0 + 1e-7]}}))
    (elsewhere.parent / "row.json").write_text(json.dumps({"marks": {}, "data": {"people": "abc"}}))
    made = json.loads((elsewhere / "made.json").read_text())
    (elsewhere / "made.json").write_text(json.dumps({**made, "data": {"people": "abd"}}))
    student = studied / "results/student/seed3/made.json"
    student.write_text(json.dumps({**json.loads(student.read_text()), "parameters": "others"}))
    run("--study")
    said = capsys.readouterr().out.splitlines()
    start = said.index("left out, until reid study makes them again:")
    assert said[start + 1 : start + 5] == [
        "  elsewhere seed1: made by other data",
        "  old seed1: params.yaml does not declare it",
        "  recoded seed1: made by other code",
        "  student seed3: made by other parameters",
    ]
    kept = (studied / "artifacts" / "study" / "results.csv").read_text()
    assert not any(name in kept for name in ("old", "recoded", "elsewhere"))
    assert sum(line.startswith("student") for line in kept.splitlines()) == 2


def test_a_table_says_whether_it_is_of_the_world_of_the_results_in_git(project, capsys):
    run()
    run("--show")
    assert "data and protocols: results/ holds none to compare" in capsys.readouterr().out
    keep(declare(project, {"mdpr": {}}), "mdpr", 1, 0.4)
    run("--show")
    assert "data and protocols: those of results/" in capsys.readouterr().out
    keep(declare(project, {"mdpr": {}}), "mdpr", 1, 0.4, fingerprint="another")
    run("--show")
    said = capsys.readouterr().out
    assert "of another world, so do not compare with what is in results/:\n  people, standard: [" in said


def test_a_page_takes_those_tables_of_a_study_that_it_has_marks_for_and_their_figures(studied):
    page, names = studied / "page.md", ("results", "differences", "claims")
    marks = "\n".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->" for name in names)
    page.write_text(f"![verdicts](claims.png)\n{marks}\n")
    run("--study")
    run("--study", "--page", "page.md")
    folder = studied / "artifacts" / "study"
    for name in names:
        assert (folder / f"{name}.md").read_text() in page.read_text()
    assert (studied / "claims.png").is_file()


def test_the_numbers_of_a_study_are_not_looked_for_in_tracking(studied):
    run("--study")
    with pytest.raises(SystemExit, match="error: --check-tracking is of the default run"):
        run("--study", "--check-tracking")


def test_a_study_of_which_nothing_was_made_is_said_to_have_no_results(studied):
    shutil.rmtree(studied / "results")
    with pytest.raises(SystemExit, match="error: no results to make tables of"):
        run("--study")


def test_the_readme_waits_for_results(project):
    with pytest.raises(SystemExit, match=r"error: no results at .*make repro"):
        run("--page", "README.md")


def test_the_quality_of_clusters_is_drawn_for_trainings_that_made_some(project):
    folder = project / "artifacts" / "train" / "mdpr"
    folder.mkdir(parents=True)
    columns = ",".join(("epoch", "loss", *CLUSTER_MEASURES))
    (folder / "history.csv").write_text(f"{columns}\n1,3,40,0.2,0.3,0.8,0.5,\n2,2,36,0.1,0.4,0.8,0.6,0.3\n")
    (project / "artifacts" / "evaluate" / "mdpr" / "cmc.csv").write_text("rank,cmc\n1,0.5\n")
    run()
    assert (project / "artifacts" / "tables" / "clusters.png").is_file()
