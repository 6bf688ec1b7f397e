from pipeline.report.numbers import cluster_panels, cmc_panels, grids, legend, training_panels
from pipeline.tables.figures import looks
from pipeline.tables.render import Cell, Table

LOOK = looks(["mdpr", "baseline", "pretrain"])


def test_numbers_of_a_table_are_marked_and_what_others_wrote_is_text():
    rows = [[Cell("<b>"), Cell("50.0", is_ranked=True)], [Cell("b"), Cell("60.0", is_ranked=True)]]
    (grid,) = grids([Table("results", ("name", "mAP"), "lr", [rows], ["a & b"], ("quoted",))])
    assert grid.groups == [[["&lt;b&gt;", "<u>50.0</u>"], ["b", "<strong>60.0</strong>"]]]
    assert grid.notes == ["a &amp; b", "<sup>1</sup> quoted"]


def test_each_training_has_a_panel_and_a_line_of_the_legend(made):
    panels = training_panels(made.trainings, LOOK)
    assert [panel.title for panel in panels] == list(made.trainings)
    assert panels[0].note == "3 → 1.5"
    assert [name for name, _ in legend(LOOK, LOOK)] == ["mdpr", "baseline", "pretrain"]


def test_matches_by_rank_have_a_panel_for_each_data_set_and_search(made):
    (panel,) = cmc_panels(made.scores, LOOK)
    assert panel.title == "noise, standard"
    assert "2 experiments" in panel.alt


def test_clusters_are_drawn_for_those_who_made_them_and_measures_that_were_taken(made):
    panels = cluster_panels(made.trainings, LOOK)
    assert [panel.title for panel in panels] == ["Clusters", "Noise", "Adjusted Rand index"]
    assert panels[1].alt.endswith("in the last: mdpr 0.25.")
