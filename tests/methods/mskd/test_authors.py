import pytest
import torch

from pipeline.backbones.resnet import ResNet
from pipeline.methods.mskd.authors import TABLE, mskd_from_authors, mskd_to_authors
from pipeline.methods.mskd.network import MSKDNetwork


def state(stripes=2):
    backbone = ResNet(depth=18, width=0.125, ibn=False, last_stride=1, stem_pool="padded")
    return MSKDNetwork(backbone=backbone, pooling="gem", stripes=stripes).state_dict()


@pytest.mark.parametrize("stripes", [0, 2])
def test_every_tensor_has_one_name_of_theirs_and_comes_back(stripes):
    own = state(stripes)
    theirs = mskd_to_authors(own)
    assert len(theirs) == len(own)
    assert not theirs.keys() & own.keys()
    ours = mskd_from_authors(theirs)
    assert list(ours) == list(own)
    assert all(ours[name] is own[name] for name in own)


def test_the_second_pool_and_neck_are_the_upper_half_and_the_third_the_lower():
    theirs = mskd_to_authors({"pools.upper.p": torch.zeros(1), "necks.lower.running_var": torch.zeros(1)})
    assert list(theirs) == ["gap2.p", "feat_bn3.running_var"]


def test_every_row_of_the_table_is_used_and_none_is_hidden_behind_another():
    own, theirs = state(), mskd_to_authors(state())
    for authors, ours in TABLE:
        assert sum(name.startswith(authors) for name in theirs) == sum(name.startswith(ours) for name in own) > 0


def test_a_middle_stripe_is_not_the_authors():
    with pytest.raises(ValueError, match=r"tensors are not MSKD's, among them pools\.middle\.p"):
        mskd_to_authors(state(3))
