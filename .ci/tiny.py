"""Lays ``.ci/tiny.yaml`` over params.yaml in the current folder: a run of minutes, for tests.

For scratch copies only; the numbers that come out say that everything runs, and nothing else.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from pipeline import config
from pipeline.experiments import DEFAULT_RUN

if __name__ == "__main__":
    tiny = config.load(Path(__file__).with_name("tiny.yaml"))
    tree = config.load()
    for section in ("data", "recipes"):
        for name, block in tiny[section].items():
            tree[section][name] = config.overlaid(tree[section][name], block, f"{section}.{name}", adds=True)
    for section in DEFAULT_RUN:
        for declared in tree[section].values():
            declared.pop("short", None)
    config.PARAMS_FILE.write_text(yaml.safe_dump(tree, sort_keys=False))
