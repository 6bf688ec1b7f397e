import pytest
import torch

from pipeline.layers.pooling import AveragePool, GeMPool, make_pool


def test_gem_with_exponent_one_is_the_mean_of_what_is_positive():
    pool = GeMPool()
    torch.nn.init.ones_(pool.p)
    maps = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(pool(maps), maps.mean(dim=(2, 3)))


def test_gem_nears_the_maximum_for_a_large_exponent():
    pool = GeMPool().double()
    torch.nn.init.constant_(pool.p, 200.0)
    maps = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(pool(maps), maps.amax(dim=(2, 3)), rtol=0.02, atol=0)


def test_gem_starts_at_three_and_learns_its_exponent():
    pool = GeMPool()
    assert float(pool.p.detach()) == 3
    pool(torch.rand(2, 3, 4, 5)).sum().backward()
    assert pool.p.grad.abs() > 0


@pytest.mark.parametrize("pool", [GeMPool(), AveragePool()])
def test_half_precision_maps_are_pooled_in_float32(pool):
    assert pool(torch.rand(2, 3, 4, 5).half()).dtype == torch.float32
    assert pool.double()(torch.rand(2, 3, 4, 5).double()).dtype == torch.float64


def test_an_unknown_pooling_is_an_error():
    with pytest.raises(ValueError, match="expected 'gem' or 'average', got 'max'"):
        make_pool("max")
