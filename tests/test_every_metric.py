"""Each metric of the registry goes from an evaluation to metrics.json, results.csv and all tables by its own name."""

import csv
import json
import re

import numpy as np
import pytest

from pipeline.evaluation.metrics import HEADINGS, NAMES
from pipeline.evaluation.stamp import Recipe, Result, read_result, write_result
from pipeline.images.store import ImageStore
from pipeline.scoring import evaluate
from pipeline.scoring.comparison import EvaluationParams, compare, searches_of
from pipeline.tables import comparison, overview, paper_tables
from pipeline.tables.papers import Comparison, Ours, Paper, Papers
from pipeline.tables.render import to_latex, to_markdown
from pipeline.tables.results import collect, read_csv, write_csv
from tests.noise import EVALUATION

RECIPE = Recipe("supervised", "none", 32, 16, "8-d", "cosine", False, "not used", 1, "last")


@pytest.fixture(scope="module")
def result(noise):
    """What an evaluation says of embeddings that tell persons apart now and then."""
    store, params = ImageStore(noise), EvaluationParams(**EVALUATION)
    table = store.table.iloc[evaluate.test_rows(store)]
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(20, 8))
    embeddings = directions[table["person_id"]] + 2 * generator.normal(size=(len(table), 8))
    (search,) = searches_of("market", params).values()
    found = compare(embeddings.astype(np.float32), table, search, params)
    return Result("small", "baseline", 1, 1, found.metrics, evaluate.protocol(store, search, params), RECIPE)


def column(header, row, heading, mark):
    """Returns the cell below a heading, without its mark."""
    header = re.sub(r"\\shortstack\[.\]\{([^}]*)\}", lambda found: found[1].replace(r"\\", " "), header)
    names, cells = (line.strip("| \\").replace(r"\%", "%").replace(" & ", " | ").split(" | ") for line in (header, row))
    return cells[names.index(heading)].strip(mark)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_is_carried_through(name, result, tmp_path):
    value, shown = result.metrics[name], f"{100 * result.metrics[name]:.1f}"
    write_result(tmp_path / "metrics.json", result)
    assert json.loads((tmp_path / "metrics.json").read_text())[name] == value
    assert read_result(tmp_path / "metrics.json") == result

    results = collect([tmp_path / "metrics.json"])
    write_csv(results, tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(newline="") as file:
        assert [float(row[name]) for row in csv.DictReader(file)] == [value]
    assert read_csv(tmp_path / "results.csv")[0].metrics[name] == value

    place = Comparison(
        data="noise", protocol="standard", is_generated=True, ours=[Ours(row="ours", experiment="small")]
    )
    compared = comparison.comparison_table(comparison.compare(place, results, []))
    for tables, own in ((overview.build_tables(results, []), "small"), ([compared], "ours")):
        for text in (to_markdown(tables), to_latex(tables)):
            lines = [line for line in text.splitlines() if " & " in line or line.startswith("|")]
            (row,) = [line for line in lines if line.strip("| ").startswith(own)]
            assert column(lines[0], row, HEADINGS[name], "*") == shown

    paper = Paper(title="A paper", notes=[], comparisons=[place], grids=[])
    paper_tables.write_papers(Papers(tolerance=0.5, papers={"paper": paper}), results, [], tmp_path / "papers")
    with (tmp_path / "papers" / "paper.csv").open(newline="") as file:
        (found,) = [float(row["value"]) for row in csv.DictReader(file) if row["metric"] == name]
    assert found == pytest.approx(100 * value)
