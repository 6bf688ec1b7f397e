import pytest

from pipeline.config import load
from pipeline.experiments import data_sets, experiments, resolve_data
from pipeline.tables.papers import read_papers
from pipeline.tables.published import published_beside, read_published
from pipeline.tables.results import REFERENCES

GRID = """
tolerance = 0.5
[papers.x]
title = "X"
notes = []
comparisons = []
[[papers.x.grids]]
title = "Components"
base = "A0"
switches = ["one"]
rows = [["A0", ""], {row}]
places = [{{data = "people", protocol = "standard", experiments = {{{name} = "x"}}}}]
"""


def test_every_experiment_in_a_row_is_declared_in_params():
    named = {name for paper in read_papers().papers.values() for name in paper.experiments}
    assert named - set(REFERENCES) <= set(experiments(load()))


def test_every_experiment_on_real_data_stands_in_some_table():
    """Add it to pipeline/tables/papers.toml, and it is shown as not run until it is."""
    tree = load()
    named = {name for paper in read_papers().papers.values() for name in paper.experiments}
    real = {name for name in data_sets(tree) if resolve_data(tree, name)["published_counts"]}
    assert {name for name, own in experiments(tree).items() if own["data"] in real} <= named


def test_every_published_number_stands_in_some_comparison():
    shown = {
        (table.data, table.protocol, row.supervision, row.method, row.metrics.get("mAP"))
        for paper in read_papers().papers.values()
        for table in paper.comparisons
        for row in published_beside(
            read_published(), data=table.data, protocol=table.protocol, supervision=table.supervision
        )
    }
    places = {key[:4] for key in shown}
    assert {(row.data, row.protocol, row.supervision, row.method) for row in read_published()} == places


@pytest.mark.parametrize(
    ("row", "name", "message"),
    [
        ('["A1", "x", "y"]', "A1", "A1 has 2 entries for 1 switches"),
        ('["A1", "x"]', "A7", "Components: no row is named A7"),
    ],
)
def test_a_grid_that_does_not_fit_is_an_error(tmp_path, row, name, message):
    (tmp_path / "papers.toml").write_text(GRID.format(row=row, name=name))
    with pytest.raises(ValueError, match=message):
        read_papers(tmp_path / "papers.toml")


def test_an_unknown_key_is_an_error_that_names_it(tmp_path):
    (tmp_path / "papers.toml").write_text("tolerance = 0.5\ncolour = 1\npapers = {}\n")
    with pytest.raises(ValueError, match="colour"):
        read_papers(tmp_path / "papers.toml")
