"""The authors' names of MSKD's tensors, and ours: one table, both directions."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pipeline.backbones.renaming import rename

TABLE = (
    ("base.0.", "backbone.conv1."),
    ("base.1.", "backbone.bn1."),
    ("base.4.", "backbone.layer1."),
    ("base.5.", "backbone.layer2."),
    ("base.6.", "backbone.layer3."),
    ("base.7.", "backbone.layer4."),
    ("gap.", "pools.global."),
    ("gap2.", "pools.upper."),
    ("gap3.", "pools.lower."),
    ("feat_bn.", "necks.global."),
    ("feat_bn2.", "necks.upper."),
    ("feat_bn3.", "necks.lower."),
)
"""Beginnings of names, the authors' (tengxiao14/Purification_ReID de659b8) and ours.

Those of alibaba/cluster-contrast-reid 57b62e9 are among them: a network without stripes.
"""


def mskd_from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns an authors' state under the names of our ``MSKDNetwork``.

    Raises:
        ValueError: naming the tensors that the table doesn't know.
    """
    return rename(state, TABLE, network="MSKD")


def mskd_to_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns a state of our ``MSKDNetwork`` with at most two stripes under the authors' names.

    Raises:
        ValueError: naming the tensors that the table doesn't know.
    """
    return rename(state, [(ours, theirs) for theirs, ours in TABLE], network="MSKD")
