import csv
import shutil
import subprocess

import pytest

from pipeline.tables.overview import build_tables
from pipeline.tables.paper_tables import COLUMNS, write_papers
from pipeline.tables.papers import read_papers
from pipeline.tables.published import read_published
from pipeline.tables.render import to_latex


@pytest.fixture
def folder(tmp_path, make_result):
    results = [
        make_result("mdpr_dukemtmc", score, seed=seed, data="dukemtmc") for seed, score in ((1, 0.88), (2, 0.89))
    ]
    results += [make_result("mdpr"), make_result("baseline", 0.6)]
    write_papers(read_papers(), results, read_published(), tmp_path)
    return tmp_path


needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="no pdflatex (Debian: texlive-latex-recommended)"
)
PAGE = r"""\documentclass[OPTIONS]{article}
\usepackage{booktabs,amssymb,graphicx}
\begin{document}
\input{TABLES}
\end{document}
"""


@needs_latex
@pytest.mark.parametrize("options", ["10pt", "10pt,twocolumn"])
@pytest.mark.parametrize("tables", ["results", "mdpr", "mskd", "smmd"])
def test_latex_sets_the_tables_within_the_width_of_a_page(folder, make_result, tables, options):
    overview = build_tables([make_result("mdpr", mAP_std=0.01), make_result("baseline", 0.6)], [])
    (folder / "results.tex").write_text(to_latex(overview))
    (folder / "page.tex").write_text(PAGE.replace("OPTIONS", options).replace("TABLES", f"{tables}.tex"))
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert (folder / "page.pdf").stat().st_size > 10_000


def rows_of(file, **wanted):
    with file.open(newline="") as opened:
        return [row for row in csv.DictReader(opened) if wanted.items() <= row.items()]


def test_each_paper_has_its_tables_in_three_forms(folder):
    assert {path.name for path in folder.iterdir()} == {
        f"{paper}.{form}" for paper in ("mdpr", "mskd", "smmd") for form in ("md", "tex", "csv")
    }
    markdown = (folder / "mdpr.md").read_text()
    assert (
        markdown.index("## Comparison") < markdown.index("dukemtmc, protocol standard") < markdown.index("## Ablation")
    )
    assert "MDPR, ours" in (folder / "mdpr.tex").read_text()
    assert "reconstruction" in (folder / "smmd.md").read_text()


def test_the_csv_holds_every_number_with_its_interval_and_verdict(folder):
    (row,) = rows_of(folder / "mdpr.csv", table="comparison", data="dukemtmc", origin="ours", metric="mAP")
    assert tuple(row) == COLUMNS
    assert (float(row["value"]), row["seeds"], row["published"]) == (pytest.approx(88.5), "2", "88.7")
    assert (row["verdict"], row["covered"]) == ("reproduced", "yes")
    assert float(row["low"]) < 88.5 < float(row["high"])


def test_the_csv_shows_what_was_not_run_and_who_published_what(folder):
    (row,) = rows_of(folder / "mdpr.csv", table="comparison", data="synergyreid")
    assert (row["experiment"], row["seeds"], row["value"]) == ("mdpr_synergyreid", "not run", "")
    (row,) = rows_of(folder / "smmd.csv", row="SMMD", metric="mAP", table="comparison")
    assert (row["value"], row["origin"]) == ("60.2", "published")
    assert "ecnu.edu.cn" in row["source"]
    assert row["note"].startswith("search mode not printed")


def test_published_rows_of_one_name_are_told_apart_by_how_they_were_trained(folder):
    rows = rows_of(folder / "mskd.csv", data="market1501", row="MMCL", metric="mAP", origin="published")
    assert {row["training"]: row["value"] for row in rows} == {"adapted from dukemtmc": "60.4", "unsupervised": "45.5"}


def test_generated_rows_have_no_verdict(folder):
    rows = rows_of(folder / "mdpr.csv", generated="yes", origin="ours", metric="mAP")
    assert rows
    assert all(row["verdict"] == "" for row in rows)
