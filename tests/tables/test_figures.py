import pytest
from PIL import Image

from pipeline.tables.figures import _mean, draw_apart, draw_grid, looks, read_curve

MDPR = ("mdpr", "seed1")


def of(**curves):
    """Returns curves of one seed each, by row."""
    return {(row, "seed1"): curve for row, curve in curves.items()}


def test_columns_of_a_csv_become_a_curve(tmp_path):
    (tmp_path / "cmc.csv").write_text("rank,cmc\n1,0.5\n2,0.75\n")
    assert read_curve(tmp_path / "cmc.csv", "rank", "cmc") == ([1.0, 2.0], [0.5, 0.75])


def test_an_experiment_looks_the_same_in_every_figure_and_like_no_other():
    names = [f"experiment_{number}" for number in range(20)]
    seen = looks(names)
    assert len({(look.colour, look.dash) for look in seen.values()}) == 20
    assert looks([*names, "experiment_0"]) == seen, "another seed of a row looks as the row does"


def test_figures_show_every_curve_and_are_the_same_again(tmp_path):
    curves = of(baseline=([1, 2, 3], [0.9, 0.5, 0.2]), mdpr=([1, 2, 3], [9.0, 5.0, 2.0]))
    one, both, look = {MDPR: curves[MDPR]}, curves, looks(["baseline", "mdpr"])
    draw_apart(one, look, tmp_path / "one.png", x="epoch", y="loss")
    draw_apart(both, look, tmp_path / "both.png", x="epoch", y="loss")
    assert Image.open(tmp_path / "both.png").width > 1.5 * Image.open(tmp_path / "one.png").width
    for name in ("first.png", "again.png"):
        draw_grid({"cmc": both}, look, tmp_path / name, x="rank")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    draw_grid({"cmc": one}, look, tmp_path / "fewer.png", x="rank")
    assert (tmp_path / "fewer.png").read_bytes() != (tmp_path / "first.png").read_bytes()


def test_measures_of_experiments_stand_in_a_grid_and_each_curve_is_shown(tmp_path):
    curves = of(teacher=([1, 2, 3], [0.1, 0.5, 0.7]), student=([2, 3], [0.5, 0.8]))
    look = looks(["teacher", "student"])
    draw_grid({"noise": curves}, look, tmp_path / "one.png", x="epoch")
    draw_grid(dict.fromkeys(("noise", "ARI", "NMI", "churn"), curves), look, tmp_path / "four.png", x="epoch")
    draw_grid({"noise": of(teacher=([1, 2, 3], [0.1, 0.5, 0.7]))}, look, tmp_path / "fewer.png", x="epoch")
    assert Image.open(tmp_path / "four.png").height == 2 * Image.open(tmp_path / "one.png").height
    assert (tmp_path / "fewer.png").read_bytes() != (tmp_path / "one.png").read_bytes()


def test_epochs_without_a_value_are_left_out_of_a_curve(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,churn\n1,\n2,0.25\n")
    assert read_curve(tmp_path / "history.csv", "epoch", "churn") == ([2.0], [0.25])


def test_the_seeds_of_a_row_share_a_panel_and_a_place_in_the_legend(tmp_path):
    one = {MDPR: ([1, 2, 3], [0.9, 0.5, 0.2])}
    two = one | {("mdpr", "seed2"): ([1, 2], [0.7, 0.7])}
    for name, curves in (("one", one), ("two", two)):
        draw_apart(curves, looks(["mdpr"]), tmp_path / f"{name}.png", x="epoch", y="loss")
        draw_grid({"cmc": curves}, looks(["mdpr"]), tmp_path / f"{name}_grid.png", x="rank")
    for panels in ("", "_grid"):
        alone, both = Image.open(tmp_path / f"one{panels}.png"), Image.open(tmp_path / f"two{panels}.png")
        assert alone.size == both.size
        assert alone.tobytes() != both.tobytes()


def test_a_long_legend_takes_rows_and_no_room_from_the_panels(tmp_path):
    curves = of(**{f"an_experiment_{letter}": ([1, 2], [0.1, 0.2]) for letter in "abcdefghijklmnop"})
    for count in (1, 16):
        some = dict(list(curves.items())[:count])
        draw_grid({"cmc": some}, looks(row for row, _ in curves), tmp_path / f"{count}.png", x="rank")
    short, long = (Image.open(tmp_path / f"{count}.png") for count in (1, 16))
    assert long.width == short.width
    assert long.height > 1.25 * short.height


def test_a_row_of_several_seeds_is_drawn_by_their_mean_where_all_have_a_value(tmp_path):
    seeds = {("mdpr", "seed1"): ([1, 2, 3], [0.2, 0.4, 0.9]), ("mdpr", "seed2"): ([1, 2], [0.4, 0.8])}
    assert _mean(list(seeds.values())) == ([1, 2], pytest.approx([0.3, 0.6]))
