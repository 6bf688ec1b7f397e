"""params.yaml as frozen, typed records; the only reader of YAML in the project."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

PARAMS_FILE = Path("params.yaml")
SEEDED = re.compile(r"(.+)_seed(\d+)")


class Record(BaseModel):
    """A block of params.yaml: frozen, typed, every key given.

    Subclasses declare fields **without defaults**: DVC tracks what stands in params.yaml, and a default that lives
    in Python would change results behind its back. Unknown and missing keys are errors that name the key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=False)


AnyRecord = TypeVar("AnyRecord", bound=Record)


def parse(kind: type[AnyRecord], block: Any, where: str) -> AnyRecord:
    """Returns ``block`` as a record of ``kind``; ``where`` is its place in params.yaml, for messages.

    Raises:
        ValueError: naming every unknown, missing or mistyped key of the block at once.
    """
    if not isinstance(block, dict):
        raise ValueError(f"params.yaml: {where}: expected a block of keys, got {block!r}")
    try:
        return kind.model_validate(block)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join([where, *(str(part) for part in problem["loc"])])
            match problem["type"]:
                case "missing":
                    lines.append(f"{key}: missing")
                case "extra_forbidden":
                    known = ", ".join(kind.model_fields) if len(problem["loc"]) == 1 else ""
                    lines.append(f"{key}: unknown key" + (f" (known: {known})" if known else ""))
                case _:
                    lines.append(f"{key}: {problem['msg']}, got {problem['input']!r}")
        raise ValueError("params.yaml does not fit:\n  " + "\n  ".join(lines)) from None


def load(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Returns the whole of params.yaml as plain dictionaries.

    Raises:
        FileNotFoundError: when the file is absent, saying where it was looked for.
        ValueError: when it is not a YAML mapping, saying where it stops being one.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no parameters at {path.resolve()}: run from the project's root folder")
    try:
        tree = yaml.load(path.read_text(), yaml.CSafeLoader)  # ten times as fast as yaml.safe_load
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ValueError(f"{path}: expected a mapping at the top, got {type(tree).__name__}")
    return tree


def block(tree: dict[str, Any], *keys: str) -> Any:
    """Returns the value at ``keys`` of ``tree``.

    Raises:
        ValueError: naming the first key that is absent, and those that are there.
    """
    here: Any = tree
    for depth, key in enumerate(keys):
        if not isinstance(here, dict) or key not in here:
            there = ", ".join(here) if isinstance(here, dict) else "nothing"
            raise ValueError(f"params.yaml has no {'.'.join(keys[: depth + 1])}; there is: {there}")
        here = here[key]
    return here


def seeded_block(tree: dict[str, Any], *keys: str) -> Any:
    """Returns ``block(tree, *keys)``, or, where the last key is ``NAME_seed2``, the block NAME with seed 2.

    What its ``settings`` take from another training (``artifacts/train/TEACHER``, or its clusters in
    ``artifacts/cluster``) is then taken from that training with the same seed; start weights are shared by all seeds.

    Raises:
        ValueError: as ``block``.
    """
    *path, last = keys
    match = SEEDED.fullmatch(last)
    if match is None or last in block(tree, *path):
        return block(tree, *keys)
    found = dict(block(tree, *path, match[1]))
    suffix = f"_seed{match[2]}"
    if "seed" in found:
        found["seed"] = int(match[2])
    if "experiment" in found:
        found["experiment"] += suffix
    if "settings" in found:
        found["settings"] = _with_suffix(found["settings"], _trainings(tree), suffix)
    return found


def _trainings(tree: dict[str, Any]) -> set[str]:
    """Returns the folders that the trainings of params.yaml fill, and those of clusters by trained networks."""
    clusters = {name for name, block in tree.get("cluster", {}).items() if block["weights"] == "trained"}
    return {f"artifacts/train/{name}" for name in tree["experiments"]} | {
        f"artifacts/cluster/{name}" for name in clusters
    }


def _with_suffix(value: Any, names: set[str], suffix: str) -> Any:
    if isinstance(value, dict):
        return {key: _with_suffix(inner, names, suffix) for key, inner in value.items()}
    return f"{value}{suffix}" if isinstance(value, str) and value in names else value
