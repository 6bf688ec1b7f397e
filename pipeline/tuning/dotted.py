"""Values by dotted names, and blocks: a search says what it changes by the one, trains by the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a block from values by dotted names.

    >>> nested({"training.learning_rate": 0.1, "seed": 1})
    {'training': {'learning_rate': 0.1}, 'seed': 1}
    """
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *path, leaf = name.split(".")
        here = tree
        for key in path:
            here = here.setdefault(key, {})
        here[leaf] = value
    return tree


def value_at(block: Mapping[str, Any], name: str) -> Any:
    """Returns the value with the dotted ``name``, which must be there."""
    here: Any = block
    for key in name.split("."):
        here = here[key]
    return here
