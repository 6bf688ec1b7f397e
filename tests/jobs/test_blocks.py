from itertools import combinations_with_replacement, pairwise

import numpy as np
import pytest

from pipeline.jobs.blocks import pieces_between, pieces_within


def met(pieces, shape):
    """How often each row meets each column, in a piece of one set a row itself too."""
    counts = np.zeros(shape, dtype=int)
    for piece in pieces:
        rows = np.concatenate([np.arange(shape[0])[block] for block in piece.rows])
        columns = rows if piece.columns is None else np.concatenate([np.arange(shape[1])[one] for one in piece.columns])
        counts[np.ix_(rows, columns)] += 1
    return counts


@pytest.mark.parametrize(
    ("num_rows", "rows_at_once"), [(1, 1), (7, 7), (8, 7), (40, 21), (200, 60), (57, 8), (58, 16), (30, 17), (1000, 95)]
)
def test_every_pair_of_rows_meets_in_pieces_that_are_not_too_large(num_rows, rows_at_once):
    pieces = pieces_within(num_rows, rows_at_once)
    assert (met(pieces, (num_rows, num_rows)) > 0).all()
    assert all(0 < sum(block.stop - block.start for block in piece.rows) <= rows_at_once for piece in pieces)
    assert all(before.stop <= after.start for piece in pieces for before, after in pairwise(piece.rows))


def test_rows_of_two_blocks_meet_once():
    pieces = pieces_within(57 * 3, 24)  # of order 7, blocks of three rows
    counts = met(pieces, (171, 171))
    blocks = np.arange(171) // 3
    is_within = blocks[:, None] == blocks
    assert len(pieces) == 57
    assert (counts[~is_within] == 1).all()
    assert (counts[is_within] == 8).all()


def test_the_cost_of_a_projective_plane_is_as_documented():
    for order, cost in ((2, 1.29), (7, 1.12), (17, 1.06)):
        num_blocks = order * order + order + 1
        pieces = pieces_within(num_blocks, order + 1)
        pairs = sum(1 for piece in pieces for _ in combinations_with_replacement(piece.rows, 2))
        assert len(pieces) == num_blocks
        assert sum(len(piece.rows) ** 2 for piece in pieces) / num_blocks**2 == pytest.approx(cost, abs=0.005)
        assert pairs == num_blocks * (order + 1) * (order + 2) / 2


def test_a_million_rows_at_the_default_size():
    pieces = pieces_within(1_000_000, 65536)
    assert len(pieces) == 307
    assert max(sum(block.stop - block.start for block in piece.rows) for piece in pieces) <= 65536


def test_too_few_rows_at_once_are_refused_with_a_number_that_is_enough():
    with pytest.raises(ValueError, match=r"1000 rows cannot be compared 30 at a time, expected 95") as told:
        pieces_within(1000, 30)
    assert pieces_within(1000, int(str(told.value).split()[-1]))


@pytest.mark.parametrize(("num_rows", "num_columns", "rows_at_once"), [(1, 1, 2), (5, 3, 2), (10, 33, 8), (9, 9, 100)])
def test_each_row_meets_each_column_once(num_rows, num_columns, rows_at_once):
    pieces = pieces_between(num_rows, num_columns, rows_at_once)
    assert (met(pieces, (num_rows, num_columns)) == 1).all()
    sides = [(*piece.rows, *piece.columns) for piece in pieces]
    assert max(sum(block.stop - block.start for block in both) for both in sides) <= rows_at_once


def test_one_row_at_once_has_nothing_to_be_compared_with():
    with pytest.raises(ValueError, match="expected 2 at least, one of each side, got 1"):
        pieces_between(4, 4, 1)
