import threading

import pytest

from pipeline import progress
from pipeline.datasets.threads import CHUNK, in_threads


@pytest.mark.parametrize("workers", [1, 4])
def test_results_stand_in_the_order_of_the_items(workers):
    items = list(range(CHUNK + 7))
    assert in_threads(lambda item: item * item, items, workers=workers, what="squaring") == [i * i for i in items]


def test_nothing_to_do_is_done():
    assert in_threads(str, [], workers=2, what="nothing") == []


def test_several_items_are_made_at_a_time():
    together = threading.Barrier(3, timeout=20)
    assert sorted(in_threads(lambda _: together.wait(), range(3), workers=3, what="meeting")) == [0, 1, 2]


def test_an_error_of_an_item_reaches_the_caller():
    def make(item):
        if item == 3:
            raise ValueError("item 3 is broken")

    with pytest.raises(ValueError, match="item 3 is broken"):
        in_threads(make, range(9), workers=2, what="failing")


def test_short_work_is_silent_and_long_work_says_how_far_it_is(capsys, monkeypatch):
    items = range(3 * CHUNK)
    in_threads(str, items, workers=1, what="naming")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    in_threads(str, items, workers=1, what="naming")
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("naming: 256 of 768, ")
    assert last.startswith("naming: 512 of 768, ")
    assert last.endswith(" 0 s left")
