import sys

import pytest

from pipeline.evaluation.metrics import NAMES
from pipeline.evaluation.stamp import Recipe, Result, market_protocol, write_result
from pipeline.tables.curves import CLUSTER_MEASURES
from pipeline.tables.differences import Difference, write_csv
from stages import tables


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the metrics of one experiment on generated data."""
    protocol = market_protocol(data="people", fingerprint="abc", counts={}, is_generated=True)
    recipe = Recipe("supervised", "pretrain", 64, 32, "256-d", "cosine", False, "not used", 8, "last")
    result = Result("mdpr", "mdpr", 1, 1, dict.fromkeys(NAMES, 0.5), protocol, recipe)
    write_result(tmp_path / "artifacts" / "evaluate" / "mdpr" / "metrics.json", result)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["tables", *arguments])
    tables.main()


def test_one_command_makes_all_tables_and_says_where_they_are(project, monkeypatch, capsys):
    run(monkeypatch)
    run(monkeypatch, "--show")
    assert sorted(path.name for path in (project / "artifacts" / "tables").iterdir()) == [
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


def test_the_readme_takes_its_table_from_the_last_results(project, monkeypatch):
    (project / "README.md").write_text("a\n<!-- results:begin -->\n<!-- results:end -->\nb\n")
    run(monkeypatch)
    run(monkeypatch, "--readme", "README.md")
    table = (project / "artifacts" / "tables" / "results.md").read_text()
    assert (project / "README.md").read_text() == f"a\n<!-- results:begin -->\n{table}<!-- results:end -->\nb\n"


def test_the_readme_takes_the_differences_in_map_below_its_table(project, monkeypatch):
    (project / "README.md").write_text("<!-- results:begin -->\n<!-- results:end -->\n")
    run(monkeypatch)
    rows = [Difference("mdpr", "baseline", "standard", metric, (1, 2), (0.5, 0.25)) for metric in ("mAP", "rank1")]
    write_csv(rows, project / "differences.csv")
    run(monkeypatch, "--readme", "README.md", "--differences", "differences.csv")
    readme = (project / "README.md").read_text()
    assert (project / "artifacts" / "tables" / "results.md").read_text() in readme
    assert "| mdpr - baseline | standard | mAP | +37.5 ± 17.7 | +50.0 (1), +25.0 (2) |" in readme
    assert "rank1" not in readme


def test_the_readme_waits_for_results(project, monkeypatch):
    with pytest.raises(SystemExit, match=r"error: no results at .*make repro"):
        run(monkeypatch, "--readme", "README.md")


def test_the_quality_of_clusters_is_drawn_for_trainings_that_made_some(project, monkeypatch):
    folder = project / "artifacts" / "train" / "mdpr"
    folder.mkdir(parents=True)
    columns = ",".join(("epoch", "loss", *CLUSTER_MEASURES))
    (folder / "history.csv").write_text(f"{columns}\n1,3,40,0.2,0.3,0.8,0.5,\n2,2,36,0.1,0.4,0.8,0.6,0.3\n")
    (project / "artifacts" / "evaluate" / "mdpr" / "cmc.csv").write_text("rank,cmc\n1,0.5\n")
    run(monkeypatch)
    assert (project / "artifacts" / "tables" / "clusters.png").is_file()
