import pytest
import torch

from pipeline.backbones.resnet import ResNet
from pipeline.methods.mdpr.authors import TABLE, mdpr_from_authors, mdpr_to_authors
from pipeline.methods.mdpr.network import MDPRNetwork


@pytest.fixture(scope="module")
def state():
    """Our state of a network with everything switched on; three stripes and maps, so that numbers show."""
    network = MDPRNetwork(
        backbone=ResNet(depth=50, width=0.125, ibn=True, last_stride=1, stem_pool="ceil"), num_classes=3,
        embedding_dim=4, hard_global=True, part_num=3, soft=True, attention=True, attn_num=3, attn_guided=True,
        bap_heads=True, fusion=True, predictors=True,
    )  # fmt: skip
    return network.state_dict()


def test_every_tensor_has_one_name_of_theirs_and_comes_back(state):
    theirs = mdpr_to_authors(state)
    assert len(theirs) == len(state)
    assert not theirs.keys() & state.keys()
    ours = mdpr_from_authors(theirs)
    assert list(ours) == list(state)
    assert all(ours[name] is theirs[other] for name, other in zip(ours, theirs, strict=True))


def test_numbers_are_taken_over(state):
    theirs = mdpr_to_authors({"heads.hard_part_2.neck.weight": torch.zeros(1)})
    assert list(theirs) == ["hard_part_head.2.bottleneck.0.weight"]


def test_no_row_of_the_table_is_hidden_behind_another():
    for column in (0, 1):
        beginnings = [row[column] for row in TABLE]
        assert len(set(beginnings)) == len(beginnings)
        for place, beginning in enumerate(beginnings):
            assert not any(beginning.startswith(earlier) for earlier in beginnings[:place]), beginning


def test_every_row_of_the_table_is_used(state):
    for beginning in (ours.replace("#", "0") for _, ours in TABLE):
        if ".pool." not in beginning:  # pooling without parameters
            assert any(name.startswith(beginning) for name in state), beginning


def test_names_that_are_nobodys_are_counted_and_shown():
    with pytest.raises(ValueError, match=r"2 tensors are not MDPR's, among them one\.weight, two\.weight"):
        mdpr_to_authors({"one.weight": torch.zeros(1), "two.weight": torch.zeros(1)})
