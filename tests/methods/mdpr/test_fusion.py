import pytest
import torch

from pipeline.methods.mdpr.fusion import Fusion, FusionBlock

DIM = 4


def maps(stripes, height=6, width=2):
    """Maps of both branches as the heads give them, the stripes of one map among them."""
    generator = torch.Generator().manual_seed(0)
    wholes = {
        name: torch.randn(3, DIM, height, width, generator=generator) for name in ("hard_global", "attn4", "attn3")
    }
    parts = torch.randn(3, DIM, height, width, generator=generator).chunk(stripes, dim=2)
    return wholes | {f"hard_part_{place}": part for place, part in enumerate(parts)}


def test_a_block_joins_maps_along_their_channels():
    block = FusionBlock(6).eval()
    one, other = torch.randn(2, 2, 4, 4), torch.randn(2, 4, 4, 4)
    output = block(one, other)
    assert output.shape == (2, 6, 4, 4)
    assert (output >= 0).all()
    assert torch.equal(output, block(torch.cat([one, other], dim=1)))


@pytest.mark.parametrize("stripes", [1, 2, 3])
def test_stripes_are_put_together_again_whatever_their_number(stripes):
    torch.manual_seed(0)
    fusion = Fusion(DIM).eval()
    output = fusion(maps(stripes))
    assert output.shape == (3, 4 * DIM, 6, 2)
    assert torch.equal(output, fusion(maps(1)))


@pytest.mark.parametrize("name", ["hard_global", "hard_part_0", "hard_part_1", "attn4", "attn3"])
def test_every_map_moves_the_fused_one(name):
    torch.manual_seed(0)
    given = {key: value.clone().requires_grad_() for key, value in maps(2).items()}
    Fusion(DIM)(given).square().sum().backward()
    assert given[name].grad.abs().max() > 0
