"""Somebody else's names of tensors, and ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor


def rename(state: Mapping[str, Tensor], table: Iterable[tuple[str, str]], *, network: str) -> dict[str, Tensor]:
    """Returns ``state`` with the beginning of every name replaced, by the first row of ``table`` that fits.

    A row is (old beginning, new beginning); ``#`` stands for a number, at most one in a row. ``network`` is named in
    the error.

    Raises:
        ValueError: naming the tensors that the table doesn't know.
    """
    rows = [(re.compile(re.escape(old).replace(r"\#", r"(\d+)")), new.replace("#", r"\1")) for old, new in table]
    renamed: dict[str, Tensor] = {}
    unknown = []
    for name, tensor in state.items():
        matches = ((match, new) for pattern, new in rows if (match := pattern.match(name)))
        match, new = next(matches, (None, ""))
        if match is None:
            unknown.append(name)
        else:
            renamed[match.expand(new) + name[match.end() :]] = tensor
    if unknown:
        raise ValueError(f"{len(unknown)} tensors are not {network}'s, among them {', '.join(unknown[:5])}")
    return renamed
