"""params.yaml as frozen, typed records; the only reader of YAML in the project."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

PARAMS_FILE = Path("params.yaml")
LARGEST = 1e6
"""Of any number in a record, below zero too, but for seeds: what is larger was mistyped, or never ends."""
LARGEST_SEED = 2**63 - 1


DEEPEST = 50
"""How many blocks may lie in each other: the parser's own end is that of the process."""


class Loader(yaml.CSafeLoader):
    """Ten times as fast as yaml.SafeLoader, and takes 1e-06 for a number, as YAML 1.2 and DVC do.

    A key that stands twice in a block is an error, as it is for DVC.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Returns a block."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    "in a block", node.start_mark, f"the key {key.value} stands there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


class Record(BaseModel):
    """A block of params.yaml: frozen, typed, every key given.

    Subclasses declare fields **without defaults**: DVC tracks what stands in params.yaml, and a default that lives
    in Python would change results behind its back. Unknown and missing keys are errors that name the key.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=False, allow_inf_nan=False
    )


AnyRecord = TypeVar("AnyRecord", bound=Record)


def parse(kind: type[AnyRecord], block: Any, where: str) -> AnyRecord:
    """Returns ``block`` as a record of ``kind``; ``where`` is its place in params.yaml, for messages.

    Raises:
        ValueError: naming every unknown, missing or mistyped key of the block at once.
    """
    if not isinstance(block, dict):
        raise ValueError(f"params.yaml: {where}: expected a block of keys, got {block!r}")
    if too_large := list(_too_large(block, where)):
        raise ValueError("params.yaml does not fit:\n  " + "\n  ".join(too_large))
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


def _too_large(value: Any, where: str) -> Iterator[str]:
    """Yields a line for each number below ``where`` that no parameter is as large as."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _too_large(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _too_large(inner, f"{where}.{place}")
    elif isinstance(value, (int, float)):
        is_seed = where.endswith("seed") and isinstance(value, int)
        low, high = (0, LARGEST_SEED) if is_seed else (-LARGEST, LARGEST)
        if not low <= value <= high:
            yield f"{where}: expected a number from {low:,.0f} to {high:,.0f}, got {value!r}"


def load(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Returns the whole of params.yaml as plain dictionaries.

    Raises:
        FileNotFoundError: when the file is absent, saying where it was looked for.
        ValueError: when it is not a YAML mapping in UTF-8, saying where it stops being one.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no parameters at {path.resolve()}: run from the project's root folder")
    try:
        text = path.read_text("utf-8")
        _check_depth(text)
        tree = yaml.load(text, Loader)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8, from its byte {error.start} on: save it as UTF-8") from None
    except (yaml.YAMLError, ValueError) as error:  # the latter for dates that are none
        raise ValueError(f"{path} is no YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ValueError(f"{path}: expected a mapping at the top, got {type(tree).__name__}")
    if "prepare" in tree:
        raise ValueError(f"{path} is of the old form, with a section `prepare`: CHANGELOG.md says what became of it")
    return tree


def add_block(path: Path, section: Sequence[str], name: str, block: Mapping[str, Any]) -> str:
    """Ensures that a section of a file has a block more, as its first; returns the lines. All others stay as they are.

    Raises:
        ValueError: when the section has one of that name, or is not written as lines below its key.
    """
    before = load(path)
    if name in _inside(before, section):
        raise ValueError(f"{path} has {'.'.join(section)}.{name} already: choose another name")
    text = yaml.safe_dump({name: dict(block)}, sort_keys=False, default_flow_style=None, width=100)
    lines = "".join("  " * len(section) + line + "\n" for line in text.splitlines())
    whole = path.read_text("utf-8").splitlines(keepends=True)
    place = _line_of(whole, section)
    new = "".join([*whole[:place], lines, *whole[place:]])
    expected = copy.deepcopy(before)
    _inside(expected, section)[name] = dict(block)
    if not place or yaml.load(new, Loader) != expected:
        raise ValueError(f"{path}: can't add to {'.'.join(section)} as it is written; add this there:\n{lines}")
    path.write_text(new, "utf-8")
    return lines


def _inside(tree: dict[str, Any], section: Sequence[str]) -> Any:
    found = block(tree, *section)
    return found if isinstance(found, dict) else {}


def _line_of(lines: Sequence[str], section: Sequence[str]) -> int:
    """Returns the number of the line below the key of a section, 0 where none is such a key."""
    place = 0
    for depth, key in enumerate(section):
        start = re.compile(rf"{'  ' * depth}{re.escape(key)}:\s*(#.*)?$")
        found = (number for number, line in enumerate(lines[place:], start=place + 1) if start.match(line))
        place = next(found, 0)
        if not place:
            return 0
    return place


def _check_depth(text: str) -> None:
    """Raises a ValueError for blocks deep in each other, or within themselves by an alias."""
    inside: list[str | None] = []
    for event in yaml.parse(text, Loader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            inside.append(event.anchor)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            inside.pop()
        is_itself = isinstance(event, yaml.AliasEvent) and event.anchor in inside
        if is_itself or len(inside) > DEEPEST:
            what = "a block that holds itself" if is_itself else f"more than {DEEPEST} blocks in each other"
            raise ValueError(f"{what}, in line {getattr(event.start_mark, 'line', 0) + 1}")


def block(tree: dict[str, Any], *keys: str) -> Any:
    """Returns the value at ``keys`` of ``tree``.

    Raises:
        ValueError: naming the first key that is absent, and those that it may have been meant for.
    """
    here: Any = tree
    for depth, key in enumerate(keys):
        if not isinstance(here, dict) or not isinstance(key, Hashable) or key not in here:
            there = here if isinstance(here, dict) else ()
            raise ValueError(f"params.yaml has no {'.'.join(map(str, keys[: depth + 1]))}{nearest(key, there)}")
        here = here[key]
    return here


def overlaid(block: Mapping[str, Any], patch: Mapping[str, Any], where: str, *, adds: bool = False) -> dict[str, Any]:
    """Returns ``block`` with the values of ``patch`` in their places; neither is changed.

    A block in ``patch`` is laid over the block in its place, unless both say a ``kind`` and it is another one: then it
    replaces it, as every other value does. ``adds``: whether ``patch`` may have keys that ``block`` does not have.

    Raises:
        ValueError: naming a key that ``block`` does not have; ``where`` is the place of ``patch``, for messages.
    """
    if not isinstance(patch, Mapping):
        raise ValueError(f"{where}: expected a block of keys, got {patch!r}")
    new = dict(block)
    for key, value in patch.items():
        if key not in block and not adds:
            raise ValueError(f"{where}.{key} overrides nothing{nearest(key, block)}")
        before = block.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping) and _same_kind(before, value):
            new[key] = overlaid(before, value, f"{where}.{key}", adds=adds)
        else:
            new[key] = value
    return new


def _same_kind(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return "kind" not in before or after.get("kind", before["kind"]) == before["kind"]


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns the end of a message on an unknown name: those that it may have been meant for, or all there are."""
    there = sorted(map(str, known))
    close = difflib.get_close_matches(str(name), there, n=3)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; there is: {', '.join(there) or 'nothing'}"
