"""Blocks of parameters laid over others: how a search says what it changes, and best.yaml what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def overlaid(block: Mapping[str, Any], patch: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Returns ``block`` with the values of ``patch`` in their places; neither is changed.

    A block in ``patch`` is laid over the block in its place, every other value replaces what stands there.

    Raises:
        ValueError: naming a key that ``block`` does not have; ``where`` is the place of ``patch``, for messages.
    """
    new = dict(block)
    for key, value in patch.items():
        if key not in block:
            raise ValueError(f"{where}.{key} overrides nothing: expected one of {', '.join(block)}")
        if isinstance(value, Mapping) and isinstance(block[key], Mapping):
            new[key] = overlaid(block[key], value, f"{where}.{key}")
        else:
            new[key] = value
    return new


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
