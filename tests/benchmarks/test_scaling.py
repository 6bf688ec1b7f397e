import os
from argparse import Namespace

import pytest
import scaling

from pipeline.training import reduction

SMALL = Namespace(small=True, repeats=1)


def test_workers_beyond_the_cores_are_not_measured_and_the_rest_is_beside_as_many_times_one(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(scaling, "rate", lambda size, is_small: {1: 10.0, 2: 19.0}[size])
    one, two, four = scaling.efficiencies(SMALL)
    assert one.ours == 10
    assert (two.ours, two.theirs, two.ratio, two.met) == (19, 20, 0.95, True)
    assert (four.ours, four.met, four.missing) == (None, None, "4 cores")


@pytest.mark.ddp
def test_two_workers_take_steps_together():
    assert scaling.rate(2, is_small=True) > 0


def test_what_is_summed_each_step_is_counted_from_the_networks():
    rows = {row.work: row.ours for row in scaling.volumes(SMALL)}
    assert len(rows) == 2 * len(scaling.CLASSES)
    assert rows["mdpr_market1501: trained weights"] == 164
    for name in scaling.CLASSES:
        assert rows[f"{name}: summed each step"] == pytest.approx(4 * rows[f"{name}: trained weights"], rel=0.01)


def test_most_of_every_papers_gradient_is_sent_before_the_backward_pass_is_through(monkeypatch):
    monkeypatch.setattr(reduction, "BUCKET_BYTES", 100_000)
    rows = scaling.overlaps(SMALL)
    assert len(rows) == 3
    assert all(0.5 < row.ratio < 1 for row in rows)
