import pytest

from pipeline.tables.ablation import fill, grid_table
from pipeline.tables.papers import Grid, GridPlace
from pipeline.tables.published import Published
from pipeline.tables.render import to_markdown

PEOPLE = GridPlace(data="people", protocol="standard", is_generated=True, experiments={"B": "base", "B+SM": "mimic"})
GRID = Grid(
    title="Components",
    base="B",
    switches=["self-mimic", "distillation"],
    rows=[["B", "", ""], ["B+SM", "✓", ""], ["B+MD", "", "✓"]],
    places=[PEOPLE],
)


@pytest.fixture
def results(make_result):
    scores = {("base", 1): 0.20, ("base", 2): 0.24, ("mimic", 1): 0.23, ("mimic", 2): 0.25, ("mimic", 3): 0.40}
    return [make_result(name, score, seed=seed) for (name, seed), score in scores.items()]


def lines_of(results, place=PEOPLE, published=()):
    return to_markdown([grid_table(fill(GRID, place, results, list(published)))]).splitlines()


def test_rows_show_switches_what_was_measured_and_the_gain_paired_by_seed(results):
    lines = lines_of(results)
    assert lines[0] == "**Components: people, protocol standard (generated data: not comparable to published numbers)**"
    assert lines[4] == "| B |  |  | base | <ins>22.0</ins> ± 2.8 | <ins>22.0</ins> ± 2.8 | -3.4 to 47.4 | 2 |  |"
    assert lines[5].startswith("| B+SM | ✓ |  | mimic | **29.3** ± 9.3 |")
    assert lines[5].endswith("| 3 | +2.0 ± 1.4 |")
    assert lines[6] == "| B+MD |  | ✓ |  |  |  |  |  |  |"


def test_published_values_stand_in_columns_of_their_own():
    place = GridPlace(data="sysu_mm01", protocol="standard", published={"B+MD": "SMMD"})
    smmd = Published("sysu_mm01", "standard", "supervised", "SMMD", "", {"mAP": 60.2}, "", "own", "abstract")
    lines = lines_of([], place, [smmd])
    assert lines[2] == "|  | self-mimic | distillation | published mAP |"
    assert lines[6] == "| B+MD |  | ✓ | 60.2<sup>1</sup> |"


def test_numbers_of_different_protocols_never_stand_in_one_grid(make_result, results):
    with pytest.raises(ValueError, match="fingerprint"):
        lines_of([*results, make_result("mimic", 0.3, seed=4, fingerprint="xyz")])


def test_rows_that_were_trained_on_another_device_are_marked(make_result):
    devices = {"base": ("float32", "cpu"), "mimic": ("float32", "cuda")}
    lines = lines_of([make_result(name, trained_in=where) for name, where in devices.items()])
    assert lines[4].startswith("| B<sup>1</sup> |")
    assert lines[5].startswith("| B+SM<sup>2</sup> |")
    assert any("Trained in float32 on cpu, others not." in line for line in lines)


def test_splits_are_paired_with_each_other(make_result):
    place = GridPlace(data="regdb", protocol="V->T", splits=2, experiments={"B": "agw_regdb", "B+SM": "smmd_regdb"})
    scores = {("agw", 1): 0.70, ("agw", 2): 0.80, ("smmd", 1): 0.73, ("smmd", 2): 0.81}
    results = [
        make_result(f"{name}_regdb", score, data="regdb", search="V->T", fingerprint=f"split {split}")
        for (name, split), score in scores.items()
    ]
    (line,) = [line for line in lines_of(results, place) if line.startswith("| B+SM |")]
    assert line.endswith("| 2 of 2 splits | +2.0 ± 1.4 |")
