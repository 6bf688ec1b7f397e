import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.layers.parts import check_stripes, stripes


def test_stripes_put_together_are_the_map():
    maps = torch.randn(2, 3, 7, 4)
    cut = stripes(maps, 2)
    assert [stripe.shape[2] for stripe in cut] == [4, 3]
    assert torch.equal(torch.cat(cut, dim=2), maps)


def test_too_few_rows_are_an_error():
    with pytest.raises(ValueError, match="cannot cut 4 rows into 3 stripes"):
        stripes(torch.randn(2, 3, 4, 4), 3)


@given(count=st.integers(1, 8), rows=st.integers(1, 24))
def test_exactly_the_counts_that_give_equal_stripes_pass_the_check(count, rows):
    if rows % count:
        with pytest.raises(ValueError, match=f"{16 * rows} pixels"):
            check_stripes(count, rows=rows, height=16 * rows)
    else:
        check_stripes(count, rows=rows, height=16 * rows)
        heights = [stripe.shape[2] for stripe in stripes(torch.zeros(1, 1, rows, 1), count)]
        assert heights == [rows // count] * count


def test_the_error_names_height_and_allowed_counts():
    with pytest.raises(ValueError, match=r"3 stripes .* 8 rows .* 128 pixels .* one of 1, 2, 4, 8 \(0 for none\)"):
        check_stripes(3, rows=8, height=128)


def test_no_stripes_always_fit():
    check_stripes(0, rows=7, height=112)
