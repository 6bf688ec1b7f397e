import pytest

from pipeline.tuning.space import Choice, Range, read_space

RATE = {"kind": "log_uniform", "low": 1e-4, "high": 1e-2}


def test_domains_are_found_by_dotted_names_where_they_stand_in_for_values():
    block = {
        "training": {"learning_rate": RATE},
        "settings": {"clustering": {"k1": {"kind": "choice", "values": [8, 30]}}},
    }
    space = read_space(block, "studies.searches.a.space")
    assert space == {
        "training.learning_rate": Range(kind="log_uniform", low=1e-4, high=1e-2),
        "settings.clustering.k1": Choice(kind="choice", values=[8, 30]),
    }


def test_a_domain_holds_its_ends_and_what_lies_between():
    rate = read_space({"rate": RATE}, "space")["rate"]
    assert [rate.holds(value) for value in (1e-4, 1e-3, 1e-2, 9e-5, 2e-2, "1e-3")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    choice = read_space({"pooling": {"kind": "choice", "values": ["gem"]}}, "space")["pooling"]
    assert choice.holds("gem")
    assert not choice.holds("average")


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"rate": 0.1}, r"space\.rate: expected a domain, \{kind: one of uniform, .*\}, got 0\.1"),
        ({"rate": {**RATE, "low": 0.0}}, r"space\.rate: expected 0 < low < high, got 0\.0 and 0\.01"),
        ({"rate": {"kind": "uniform", "low": 1.0, "high": 1.0}}, r"space\.rate: expected low < high"),
        ({"k1": {"kind": "integer", "low": 1.5, "high": 3}}, r"space\.k1: expected integers, got 1\.5 and 3"),
        ({"rate": {"kind": "uniform", "low": 1.0}}, r"space\.rate\.high: missing"),
        ({"pooling": {"kind": "choice", "values": []}}, r"space\.pooling\.values: .*at least 1"),
    ],
)
def test_what_is_no_domain_is_named(block, message):
    with pytest.raises(ValueError, match=message):
        read_space(block, "space")
