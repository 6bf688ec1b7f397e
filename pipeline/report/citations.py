"""Whom to cite for a method and for a data set (``citations.bib``)."""

from __future__ import annotations

import re
from pathlib import Path

CITATIONS_FILE = Path(__file__).with_name("citations.bib")

METHODS = {
    "baseline": ("luo2019bag", "he2016deep"),
    "mdpr": ("fu2024mutual", "he2016deep"),
    "mskd": ("lan2022learning", "dai2021cluster", "he2016deep"),
    "smmd": ("zhang2022self", "ye2021deep", "he2016deep"),
    "two_stream": ("ye2021deep", "he2016deep"),
}
DATA_SETS = {
    "market1501": ("zheng2015scalable",),
    "dukemtmc": ("ristani2016performance", "zheng2017unlabeled"),
    "msmt17": ("wei2018person",),
    "cuhk03": ("li2014deepreid", "zhong2017reranking"),
    "synergyreid": ("vanzandycke2022deepsportradar",),
    "sysu_mm01": ("wu2017rgb",),
    "regdb": ("nguyen2017person",),
    "llcm": ("zhang2023diverse",),
}


def of_method(method: str) -> tuple[str, ...]:
    """Returns the keys of what to cite for a method; none for what is nobody's."""
    return METHODS.get(method, ())


def of_data(data: str, *, is_generated: bool) -> tuple[str, ...]:
    """Returns the keys of what to cite for a data set or a version of it; none for generated or own images."""
    known = [] if is_generated else [keys for name, keys in DATA_SETS.items() if data.startswith(name)]
    return known[0] if known else ()


def read_citations(path: Path = CITATIONS_FILE) -> dict[str, str]:
    """Returns each BibTeX entry by its key."""
    entries = re.split(r"^(?=@)", path.read_text(), flags=re.MULTILINE)
    return {entry[entry.index("{") + 1 : entry.index(",")]: entry.strip() for entry in entries if entry.strip()}
