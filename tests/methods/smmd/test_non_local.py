import torch

from pipeline.methods.smmd.non_local import NonLocal


def test_it_starts_as_the_identity():
    maps = torch.randn(2, 8, 3, 5)
    torch.testing.assert_close(NonLocal(8)(maps), maps)


def test_it_is_the_attention_of_every_position_to_all_others():
    torch.manual_seed(0)
    block = NonLocal(8).double().eval()
    torch.nn.init.ones_(block.bn.weight)
    maps = torch.randn(2, 8, 3, 5, dtype=torch.float64)
    theta, phi, g = (part(maps).flatten(2) for part in (block.theta, block.phi, block.g))
    attention = theta.transpose(1, 2) @ phi / 15
    gathered = (attention @ g.transpose(1, 2)).transpose(1, 2).reshape(2, 1, 3, 5)
    torch.testing.assert_close(block(maps), maps + block.bn(block.out(gathered)))
