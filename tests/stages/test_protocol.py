"""What is laid down before a study."""

from pathlib import Path

import pytest

from stages import study

BLOCKS = ("hypotheses", "lengths", "pilot", "searches")


def test_a_page_takes_the_blocks_that_it_has_marks_for_and_the_figure_that_it_shows(fresh, capsys):
    marks = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in BLOCKS)
    page = fresh.folder / "protocol.md"
    page.write_text(f"{marks}![](lengths.png)\n")
    fresh.run("protocol")
    assert "Mutual distillation lifts each branch" in capsys.readouterr().out
    fresh.run("protocol", "--page", str(page))
    for name in BLOCKS:
        assert (fresh.folder / "artifacts" / "protocol" / f"{name}.md").read_text() in page.read_text()
    assert (fresh.folder / "lengths.png").is_file()


@pytest.mark.parametrize(("what", "row"), [("lengths", "mdpr+epochs_96+curve@people_calibration"), ("pilot", None)])
def test_the_rows_that_it_needs_are_made_as_a_studys_are(fresh, monkeypatch, what, row):
    asked = []
    monkeypatch.setattr(study, "study", lambda tree, rows, *, plan: asked.append((rows, plan)))
    fresh.run("protocol", "--run", what)
    ((rows, plan),) = asked
    assert not plan
    assert row in rows if row else rows == []  # this project's data have no pilot


def test_the_rows_of_the_pilot_are_those_of_the_claims_on_other_people():
    from pipeline.config import load
    from pipeline.tables.study import pilot_rows

    rows = pilot_rows(load(Path(__file__).parents[2] / "params.yaml"))
    assert rows["mdpr_without_distillation"] == "mdpr+undistilled+pilot@people_calibration"
    assert rows["smmd"] == "smmd+pilot@people_infrared_calibration"
