from PIL import Image

from pipeline.tables.figures import draw_apart, draw_grid, looks, read_curve


def test_columns_of_a_csv_become_a_curve(tmp_path):
    (tmp_path / "cmc.csv").write_text("rank,cmc\n1,0.5\n2,0.75\n")
    assert read_curve(tmp_path / "cmc.csv", "rank", "cmc") == ([1.0, 2.0], [0.5, 0.75])


def test_an_experiment_looks_the_same_in_every_figure_and_like_no_other():
    names = [f"experiment_{number}" for number in range(20)]
    seen = looks(names)
    assert len({(look.colour, look.dash) for look in seen.values()}) == 20
    more = looks([*names, "experiment_0_seed2"])
    assert more["experiment_0_seed2"] == more["experiment_0"] == seen["experiment_0"]
    assert more["experiment_19"] == seen["experiment_19"]


def test_figures_show_every_curve_and_are_the_same_again(tmp_path):
    curves = {"baseline": ([1, 2, 3], [0.9, 0.5, 0.2]), "mdpr": ([1, 2, 3], [9.0, 5.0, 2.0])}
    one, both = {"mdpr": curves["mdpr"]}, curves
    draw_apart(one, looks(both), tmp_path / "one.png", x="epoch", y="loss")
    draw_apart(both, looks(both), tmp_path / "both.png", x="epoch", y="loss")
    assert Image.open(tmp_path / "both.png").width > 1.5 * Image.open(tmp_path / "one.png").width
    for name in ("first.png", "again.png"):
        draw_grid({"cmc": both}, looks(both), tmp_path / name, x="rank")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    draw_grid({"cmc": one}, looks(both), tmp_path / "fewer.png", x="rank")
    assert (tmp_path / "fewer.png").read_bytes() != (tmp_path / "first.png").read_bytes()


def test_measures_of_experiments_stand_in_a_grid_and_each_curve_is_shown(tmp_path):
    curves = {"teacher": ([1, 2, 3], [0.1, 0.5, 0.7]), "student": ([2, 3], [0.5, 0.8])}
    look = looks(curves)
    draw_grid({"noise": curves}, look, tmp_path / "one.png", x="epoch")
    draw_grid(dict.fromkeys(("noise", "ARI", "NMI", "churn"), curves), look, tmp_path / "four.png", x="epoch")
    draw_grid({"noise": {"teacher": curves["teacher"]}}, look, tmp_path / "fewer.png", x="epoch")
    assert Image.open(tmp_path / "four.png").height == 2 * Image.open(tmp_path / "one.png").height
    assert (tmp_path / "fewer.png").read_bytes() != (tmp_path / "one.png").read_bytes()


def test_epochs_without_a_value_are_left_out_of_a_curve(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,churn\n1,\n2,0.25\n")
    assert read_curve(tmp_path / "history.csv", "epoch", "churn") == ([2.0], [0.25])


def test_the_seeds_of_a_row_share_a_panel_and_a_place_in_the_legend(tmp_path):
    one = {"mdpr": ([1, 2, 3], [0.9, 0.5, 0.2])}
    two = one | {"mdpr_seed2": ([1, 2], [0.7, 0.7])}
    for name, curves in (("one", one), ("two", two)):
        draw_apart(curves, looks(two), tmp_path / f"{name}.png", x="epoch", y="loss")
        draw_grid({"cmc": curves}, looks(two), tmp_path / f"{name}_grid.png", x="rank")
    for panels in ("", "_grid"):
        alone, both = Image.open(tmp_path / f"one{panels}.png"), Image.open(tmp_path / f"two{panels}.png")
        assert alone.size == both.size
        assert alone.tobytes() != both.tobytes()


def test_a_long_legend_takes_rows_and_no_room_from_the_panels(tmp_path):
    curves = {f"an_experiment_{letter}": ([1, 2], [0.1, 0.2]) for letter in "abcdefghijklmnop"}
    for count in (1, 16):
        some = dict(list(curves.items())[:count])
        draw_grid({"cmc": some}, looks(curves), tmp_path / f"{count}.png", x="rank")
    short, long = (Image.open(tmp_path / f"{count}.png") for count in (1, 16))
    assert long.width == short.width
    assert long.height > 1.25 * short.height
