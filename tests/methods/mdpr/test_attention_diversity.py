import pytest
import torch
from torch.nn import functional as F

from pipeline.methods.mdpr.losses import AttentionDiversityLoss, ForegroundMassLoss


@pytest.mark.parametrize("maps", [2, 3])
def test_equals_the_reference_with_gradients(golden, maps):
    pooled = golden.trained(f"diversity{maps}_pooled")
    golden.assert_equal(f"diversity{maps}", AttentionDiversityLoss()(pooled[..., 0, 0]), pooled=pooled)


def test_is_the_sum_over_pairs_of_the_mean_cosine():
    pooled = torch.randn(4, 5, 6, dtype=torch.float64)
    expected = sum(F.cosine_similarity(pooled[m], pooled[n], dim=1).mean() for m in range(4) for n in range(m + 1, 4))
    torch.testing.assert_close(AttentionDiversityLoss()(pooled), expected)


def test_one_map_has_no_pair():
    assert float(AttentionDiversityLoss()(torch.randn(1, 5, 6))) == 0


def test_foreground_mass_is_the_weighted_sum_per_image():
    maps = torch.rand(3, 2, 4, 5)
    torch.testing.assert_close(ForegroundMassLoss(weight=0.1)(maps), 0.1 * maps.sum() / 3)
