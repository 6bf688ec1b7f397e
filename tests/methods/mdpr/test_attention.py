import pytest
import torch

from pipeline.methods.mdpr.attention import AttentionPool, TwoDepthAttention, foreground


def test_foreground_and_background_share_each_position():
    logits = torch.randn(2, 4, 3, 5)
    maps = foreground(logits)
    assert maps.shape == (2, 3, 3, 5)
    torch.testing.assert_close(1 - maps.sum(dim=1), logits.softmax(dim=1)[:, -1])


@pytest.mark.parametrize("attn_num", [1, 2, 4])
def test_there_are_as_many_maps_as_asked_for(attn_num):
    attention = TwoDepthAttention(6, 8, attn_num=attn_num, guided=True)
    shallow, deep = attention(torch.randn(2, 6, 4, 3), torch.randn(2, 8, 4, 3))
    assert shallow.shape == deep.shape == (2, attn_num, 4, 3)


@pytest.mark.parametrize("guided", [True, False])
def test_deep_features_move_the_shallow_maps_only_when_they_guide(guided):
    torch.manual_seed(0)
    attention = TwoDepthAttention(6, 8, attn_num=2, guided=guided)
    shallow, deep = torch.randn(2, 6, 4, 3), torch.randn(2, 8, 4, 3)
    moved = not torch.equal(attention(shallow, deep)[0], attention(shallow, torch.randn(2, 8, 4, 3))[0])
    assert moved == guided


def test_each_map_is_pooled_through_its_own_projection():
    pool = AttentionPool(6, 5, attn_num=3).eval()
    maps, attention = torch.randn(2, 6, 4, 3), torch.rand(2, 3, 4, 3)
    pooled = pool(maps, attention)
    assert pooled.shape == (3, 2, 5)
    torch.testing.assert_close(pooled[1], pool.pool(pool.embed[1](maps * attention[:, 1:2])))
