import numpy as np
import pytest
import torch

from pipeline.neighbors.sparse import SparseRows, gather_rows, with_room

ROWS = SparseRows(
    starts=np.array([0, 2, 2, 5]),
    columns=np.array([0, 3, 1, 2, 3], dtype=np.int32),
    values=np.array([0.0, 0.25, 0.5, 0.0, 0.75], dtype=np.float32),
    num_columns=4,
)


def test_missing_entries_are_what_the_caller_says():
    expected = [[0, 1, 1, 0.25], [1, 1, 1, 1], [1, 0.5, 0, 0.75]]
    assert ROWS.to_dense(missing=1.0).tolist() == expected
    assert ROWS.to_dense(missing=0.0)[1].tolist() == [0, 0, 0, 0]


def test_scipy_gets_the_stored_zeros_too():
    matrix = ROWS.to_scipy()
    assert (matrix.shape, matrix.nnz) == ((3, 4), 5)
    assert np.array_equal(matrix.toarray(), ROWS.to_dense(missing=0.0))


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (0, 1), (1, 2), (1, 3), (3, 3)])
def test_a_part_of_the_rows_is_these_rows(start, stop):
    part = ROWS.rows(start, stop)
    assert part.num_rows == stop - start
    assert np.array_equal(part.to_dense(missing=1.0), ROWS.to_dense(missing=1.0)[start:stop])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": np.array([0, 2, 2, 4])}, r"\[4\], 5 and 5"),
        ({"starts": np.array([], dtype=np.int64)}, r"starts \[N \+ 1\]"),
        ({"values": np.zeros(4, dtype=np.float32)}, "5 and 4"),
        ({"columns": np.zeros(5, dtype=np.int64)}, "int32 columns, got int64, int64"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_an_error(change, message):
    with pytest.raises(ValueError, match=message):
        SparseRows(**vars(ROWS) | change)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows_at_once", [1, 3, 100])
def test_pieces_are_joined_in_order(rows_at_once, threads):
    def kernel(start, stop, factor):
        counts = np.arange(start, stop)
        columns = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])
        return counts, columns, np.repeat(counts * factor, counts).astype(np.float32)

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        rows = gather_rows(kernel, 10, 10, 2, rows_at_once=rows_at_once)
    finally:
        torch.set_num_threads(before)
    expected = np.tril(np.broadcast_to(2 * np.arange(10)[:, None], (10, 10)), -1)
    assert np.array_equal(rows.to_dense(missing=0), expected)


def test_room_keeps_what_is_there():
    array = np.arange(3, dtype=np.int32)
    assert with_room(array, 3) is array
    larger = with_room(array, 4)
    assert len(larger) >= 4
    assert larger[:3].tolist() == [0, 1, 2]
