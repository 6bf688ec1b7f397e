import numpy as np
import pytest
import torch

from pipeline.neighbors.threads import over_rows


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("rows_at_once", [None, 1, 4, 100])
@pytest.mark.parametrize("num_rows", [0, 1, 2, 13, 40])
def test_every_row_is_visited_once(threads, num_rows, rows_at_once):
    visits = np.zeros(num_rows, dtype=int)

    def visit(start, stop, by):
        assert 0 <= start < stop <= num_rows
        visits[start:stop] += by

    over_rows(visit, num_rows, 1, rows_at_once=rows_at_once)
    assert (visits == 1).all()


def test_what_a_kernel_raises_is_raised(threads):
    def fail(start, stop):
        raise ZeroDivisionError(start)

    with pytest.raises(ZeroDivisionError):
        over_rows(fail, 10)
