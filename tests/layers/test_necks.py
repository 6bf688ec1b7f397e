import torch

from pipeline.layers.necks import BNNeck, Projection


def test_a_neck_never_shifts():
    neck = BNNeck(4)
    assert not neck.bias.requires_grad
    assert not neck.bias.any()
    torch.testing.assert_close(neck(torch.randn(8, 4) + 3).mean(dim=0), torch.zeros(4), atol=1e-6, rtol=0)


def test_a_neck_learns_its_scale_alone():
    neck = BNNeck(4)
    neck(torch.randn(8, 4)).square().sum().backward()
    assert [name for name, weight in neck.named_parameters() if weight.grad is not None] == ["weight"]


def test_a_projection_keeps_the_place_and_is_nowhere_negative():
    projection = Projection(6, 3).eval()
    maps = torch.randn(2, 6, 4, 5)
    output = projection(maps)
    assert output.shape == (2, 3, 4, 5)
    assert (output >= 0).all()
    torch.testing.assert_close(projection(maps[:, :, 1:3, 2:4]), output[:, :, 1:3, 2:4])


def test_a_projection_has_no_bias_that_its_normalisation_would_undo():
    assert Projection(6, 3).conv.bias is None
