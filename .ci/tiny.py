"""Merges the block ``tiny`` of params.yaml in the current folder over the rest: a run of minutes, for tests.

For scratch copies only; the numbers that come out say that everything runs, and nothing else.
"""

from __future__ import annotations

import sys
from typing import Any

import yaml

from pipeline import config


def overlay(tree: dict[str, Any], patch: dict[str, Any], where: str = "tiny") -> None:
    """Replaces in ``tree`` what ``patch`` names; a key that ``tree`` does not have is an error."""
    for key, value in patch.items():
        if key not in tree:
            sys.exit(f"params.yaml: {where}.{key} overrides nothing: there is no such key without it")
        if isinstance(value, dict) and isinstance(tree[key], dict):
            overlay(tree[key], value, f"{where}.{key}")
        else:
            tree[key] = value


if __name__ == "__main__":
    params = config.load()
    overlay(params, params["tiny"])
    config.PARAMS_FILE.write_text(yaml.safe_dump(params, sort_keys=False))
