import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline.training.seeding import seed_group

places = some.tuples(*[some.integers(0, 10_000)] * 4)


def draw(place):
    seed_group(*place)
    return torch.rand(4)


@settings(max_examples=30, deadline=None)
@given(places)
def test_a_place_always_draws_the_same(place):
    first = draw(place)
    torch.rand(7)
    assert torch.equal(draw(place), first)


@settings(max_examples=60, deadline=None)
@given(places, places)
def test_two_places_draw_differently(one, other):
    assert (one == other) == torch.equal(draw(one), draw(other))


def test_neighbours_and_exchanged_numbers_are_other_places():
    places = [(1, 2, 3, 4), (2, 1, 3, 4), (1, 2, 4, 3), (1, 2, 3, 5), (12, 3, 4, 0), (1, 23, 4, 0)]
    assert len({tuple(draw(place).tolist()) for place in places}) == len(places)
