"""The authors' names of AGW's tensors for visible and infrared images, and ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

TABLE = (
    (r"visible_module\.visible\.(conv1|bn1)\.", r"visible.\1."),
    (r"thermal_module\.thermal\.(conv1|bn1)\.", r"infrared.\1."),
    (r"base_resnet\.base\.(layer[1-4])\.", r"trunk.\1."),
    (r"NL_([1-4])\.(\d+)\.g\.0\.", r"non_local.layer\1.\2.g."),
    (r"NL_([1-4])\.(\d+)\.W\.0\.", r"non_local.layer\1.\2.out."),
    (r"NL_([1-4])\.(\d+)\.W\.1\.", r"non_local.layer\1.\2.bn."),
    (r"NL_([1-4])\.(\d+)\.(theta|phi)\.", r"non_local.layer\1.\2.\3."),
    (r"bottleneck\.", r"neck."),
    (r"classifier\.", r"classifier."),
)
"""Beginnings of names: the authors' (Cross-Modal-Re-ID-baseline e817a26), and ours."""

UNUSED = re.compile(
    r"(visible_module\.visible|thermal_module\.thermal)\.(layer[1-4]|fc)\.|base_resnet\.base\.(conv1|bn1|fc)\."
)
"""Parts of the three ResNets in the authors' network that no image passes."""


def agw_from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns an authors' state under the names of our ``TwoStreamNetwork``, without the parts they never use.

    Raises:
        ValueError: naming the tensors that the table doesn't know.
    """
    rows = [(re.compile(theirs), ours) for theirs, ours in TABLE]
    renamed, unknown = {}, []
    for name, tensor in state.items():
        if UNUSED.match(name):
            continue
        match, ours = next(((match, ours) for row, ours in rows if (match := row.match(name))), (None, ""))
        if match is None:
            unknown.append(name)
        else:
            renamed[match.expand(ours) + name[match.end() :]] = tensor
    if unknown:
        raise ValueError(f"{len(unknown)} tensors are not AGW's, among them {', '.join(unknown[:5])}")
    return renamed
