"""The methods by the names that params.yaml gives them; importing this imports none of them."""

from __future__ import annotations

import pkgutil

from pipeline.training.method import Method

METHODS = {
    "baseline": "pipeline.methods.baseline.method:Baseline",
    "mdpr": "pipeline.methods.mdpr.method:MDPR",
    "mskd": "pipeline.methods.mskd.method:MSKD",
    "smmd": "pipeline.methods.smmd.method:SMMD",
    "two_stream": "pipeline.methods.smmd.method:TwoStream",
}


def find(name: str) -> type[Method]:
    """Returns the class of a method.

    Raises:
        ValueError: naming the methods there are.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {name!r}")
    return pkgutil.resolve_name(METHODS[name])
