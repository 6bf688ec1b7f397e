"""The authors' names of AGW's tensors for visible and infrared images, and ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from pipeline.backbones.renaming import rename

STEMS = (("visible_module.visible.", "visible."), ("thermal_module.thermal.", "infrared."))
NON_LOCAL = ((".g.0.", ".g."), (".W.0.", ".out."), (".W.1.", ".bn."), (".theta.", ".theta."), (".phi.", ".phi."))
LAYERS = range(1, 5)
TABLE = (
    *((theirs + part, ours + part) for theirs, ours in STEMS for part in ("conv1.", "bn1.")),
    *((f"base_resnet.base.layer{layer}.", f"trunk.layer{layer}.") for layer in LAYERS),
    *((f"NL_{layer}.#{a}", f"non_local.layer{layer}.#{b}") for layer in LAYERS for a, b in NON_LOCAL),
    ("bottleneck.", "neck."),
    ("classifier.", "classifier."),
)
"""Beginnings of names, the authors' (Cross-Modal-Re-ID-baseline e817a26) and ours; ``#`` stands for a number."""

UNUSED = re.compile(
    r"(visible_module\.visible|thermal_module\.thermal)\.(layer[1-4]|fc)\.|base_resnet\.base\.(conv1|bn1|fc)\."
)
"""Parts of the three ResNets in the authors' network that no image passes."""


def agw_from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns an authors' state under the names of our ``TwoStreamNetwork``, without the parts they never use.

    Raises:
        ValueError: naming the tensors that the table doesn't know.
    """
    return rename({name: state[name] for name in state if not UNUSED.match(name)}, TABLE, network="AGW")
