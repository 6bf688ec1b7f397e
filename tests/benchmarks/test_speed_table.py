import json
import sys

import pytest
from speed_comparison import table

KEYS = {"work", "unit", "ours", "theirs", "ratio", "target", "met", "missing"}


def run(monkeypatch, cases, *arguments):
    monkeypatch.setattr(sys, "argv", ["input.py", *arguments])
    table.main("", cases)


def test_rows_say_whether_their_target_is_met_and_what_was_missing(monkeypatch, tmp_path, capsys):
    cases = {
        "rate": lambda given: [table.at_least("rate", "images/s", 12.0, 1.0, least=10)],
        "cost": lambda given: [table.at_most("cost", "s", 3.0, 2.0, most=1.1)],
        "gpu": lambda given: [table.unmeasured("step", "ms", ">= 1.5 times", "a GPU")],
    }
    file = tmp_path / "rows.json"
    run(monkeypatch, cases, "--json", str(file))
    tree, printed = json.loads(file.read_text()), capsys.readouterr().out
    assert [row["met"] for row in tree["rows"]] == [True, False, None]
    assert all(set(row) == KEYS for row in tree["rows"])
    assert "MISS" in printed
    assert "needs a GPU" in printed
    assert tree["hardware"] in printed


def test_only_the_named_works_are_measured(monkeypatch, capsys):
    cases = {"one": lambda given: [table.shown("one", "s", 1.0)], "two": lambda given: pytest.fail("was not asked for")}
    run(monkeypatch, cases, "--only", "one")
    assert "two" not in capsys.readouterr().out.split("unit")[1]


def test_each_side_counts_by_its_quickest_run():
    ticks = iter([0.0, 5.0, 10.0, 11.0, 20.0, 22.0, 30.0, 33.0])
    nothing = {"ours": lambda: None, "theirs": lambda: None}
    assert table.interleaved(nothing, repeats=2, clock=lambda: next(ticks)) == {"ours": 2.0, "theirs": 1.0}
