"""Text files that list images or identities."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pipeline.inputs import read_text

LINE = re.compile(r"(\S.*?)\s+(\d+)")
NAMED = 5  # malformed lines of one list that are named before they are only counted


def read_pairs(folder: Path, name: str, problems: list[str]) -> list[tuple[str, int]]:
    """Returns path and label of every line ``<path> <label>`` of the list ``folder / name``, empty lines left out.

    Lines of another form, and paths that lead out of the folder, add to ``problems``.
    """
    found, wrong = [], []
    for number, line in enumerate(read_text(folder / name).splitlines(), start=1):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            wrong.append(f"{name}, line {number}: expected <path> <label>, got {line[:80]!r}")
        elif not is_inside(match[1]):
            wrong.append(f"{name}, line {number}: {match[1]} leads out of the data folder")
        else:
            found.append((match[1], int(match[2])))
    problems += wrong[:NAMED] + [f"{name}: {len(wrong) - NAMED:,} more lines are wrong"] * (len(wrong) > NAMED)
    return found


def read_named(
    folder: Path, names: Sequence[str], pattern: re.Pattern[str], expected: str, problems: list[str]
) -> list[tuple[str, str, re.Match[str]]]:
    """Returns list, path and match of every line of the lists ``names``, which number identities alike.

    The first group of ``pattern`` is the identity, as the path tells it; ``problems`` gets a line where a path does
    not match (it says what was ``expected``), and where a label and an identity do not stand for each other.
    """
    found = []
    identity_of: dict[int, str] = {}
    label_of: dict[str, int] = {}
    for name in names:
        for path, label in read_pairs(folder, name, problems):
            match = pattern.fullmatch(path)
            if match is None:
                problems.append(f"{name}: {path}: not named as {expected}")
                continue
            before = (identity_of.setdefault(label, match[1]), label_of.setdefault(match[1], label))
            if before != (match[1], label):
                problems.append(
                    f"{name}: {path}: listed as {label}, but before that {label} was identity {before[0]} "
                    f"and {match[1]} was listed as {before[1]}"
                )
            found.append((name, path, match))
    return found


def read_ids(folder: Path, name: str, problems: list[str]) -> list[int]:
    """Returns the identities of a list of one line, separated by commas, in rising order."""
    words = [word.strip() for word in read_text(folder / name).replace("\n", ",").split(",") if word.strip()]
    wrong = [word for word in words if not (word.isascii() and word.isdigit() and int(word) > 0)]
    if wrong or not words:
        problems.append(
            f"{name}: expected identities from 1, separated by commas, got {', '.join(wrong[:5]) or 'none'}"
        )
    return sorted({int(word) for word in words if word not in wrong})


def is_inside(path: str) -> bool:
    """Returns whether a path that somebody wrote down stays in the folder it starts from."""
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and "\\" not in path
