"""What is said of methods to people: the ``about.py`` in their folders, loaded where their words are shown.

Words are not code. No training imports this or an ``about.py``, and DVC looks at none of them (``.dvcignore``): to
correct a sentence trains nothing anew.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from pipeline.methods.registry import METHODS


@dataclass(frozen=True)
class Words:
    """The words of one method; each ``about.py`` has them in ``ABOUT``, by the name in the registry.

    Attributes:
        sentence: what it is, as its card says.
        citations: whom to cite, as BibTeX entries, the most important first. The backbone that all methods share is
            none of them.
    """

    sentence: str
    citations: tuple[str, ...]


def about(name: str) -> Words | None:
    """Returns the words of a method; None for a name that the registry does not know, as an old checkpoint may have."""
    if name not in METHODS:
        return None
    package = METHODS[name].partition(":")[0].rpartition(".")[0]
    words: Words = importlib.import_module(f"{package}.about").ABOUT[name]
    return words
