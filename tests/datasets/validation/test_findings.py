import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from pipeline.datasets.validation import findings
from pipeline.datasets.validation.findings import RULES, Finding

DOCTOR = Path(findings.__file__).parent
WARNINGS = {
    *("mislabelled", "paged", "turned", "upright", "small"),
    *("leaked_by_makers", "two_persons", "copies", "unverified_counts", "unanswered", "note"),
}


def test_what_can_not_be_known_for_sure_warns_and_all_else_is_an_error() -> None:
    assert {rule for rule in RULES if not Finding(rule, "a.jpg").is_error} == WARNINGS


def test_every_rule_is_looked_for_by_somebody() -> None:
    code = [file.read_text() for file in DOCTOR.glob("*.py") if file.name != "findings.py"]
    looked_for = set(re.findall(r'"(\w+)"', "".join(code)))
    assert set(RULES) <= looked_for


def test_a_rule_that_there_is_not_is_no_warning_by_mistake() -> None:
    with pytest.raises(KeyError, match="unreadible"):
        _ = Finding("unreadible", "a.jpg").is_error


def test_files_are_reported_before_the_table_that_they_make_and_remarks_last() -> None:
    order = list(RULES)
    assert max(map(order.index, ("missing", "empty", "unreadable", "mislabelled", "deep"))) < order.index("person")
    assert order[-1] == "note"


def test_a_heading_and_its_advice_stand_in_one_line() -> None:
    for rule in RULES.values():
        assert not re.search(r"\n|  |\.$", f"{rule.what}|{rule.advice}")


def test_nobody_rewords_a_finding_that_was_made() -> None:
    with pytest.raises(FrozenInstanceError):
        Finding("empty", "a.jpg").text = "fine"  # type: ignore[misc]
