"""Rules that the images of a data set keep together: identities, cameras, copies, numbers."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from pipeline.datasets.validation.findings import Finding
from pipeline.images.table import DISTRACTOR, MODALITIES, SPLIT_OF_ROLE, Counts, count, unmatched_queries

SMALLEST = (32, 16)
"""Height and width in pixels, of an image that would have to be enlarged eightfold to 256x128."""


def check_rows(table: pd.DataFrame, *, num_cameras: int) -> list[Finding]:
    """Returns the rules that rows of an image table break, and the identities on both sides."""
    splits = table["role"].map(SPLIT_OF_ROLE)
    first = min(1, num_cameras)
    is_distractor = table["person_id"] == DISTRACTOR
    rules = [
        ("repeated", "listed twice", table["path"].duplicated()),
        ("person", "person_id below 0", table["person_id"] < 0),
        (
            "person",
            "person_id 0 is for distractors, which belong in the gallery",
            is_distractor & (table["role"] != "gallery"),
        ),
        ("camera", f"camera_id outside {first}..{num_cameras}", ~table["camera_id"].between(first, num_cameras)),
        ("column", f"modality is none of {', '.join(MODALITIES)}", ~table["modality"].isin(MODALITIES)),
        ("column", f"role is none of {', '.join(SPLIT_OF_ROLE)}", splits.isna()),
        ("column", "split does not go with its role", splits.notna() & (splits != table["split"])),
    ]
    return [
        Finding(rule, f"{row.path}: {text} (person_id {row.person_id}, camera_id {row.camera_id})")
        for rule, text, broken in rules
        for row in table[broken].itertuples()
    ] + _shared_identities(table)


def _shared_identities(table: pd.DataFrame) -> list[Finding]:
    """Returns a finding for each identity that is in both train and test."""
    first = table.drop_duplicates(["person_id", "split"]).pivot(index="person_id", columns="split", values="path")
    if not {"train", "test"} <= set(first.columns):
        return []
    shared = first.dropna(subset=["train", "test"])
    return [
        Finding("shared", f"person_id {person} is in both train and test: {paths.train}, {paths.test}")
        for person, paths in zip(shared.index, shared.itertuples(), strict=True)
    ]


def check_copies(table: pd.DataFrame, pixels: pd.Series, *, as_published: bool) -> list[Finding]:
    """Returns a finding for each image that shows what one before it shows, by the worst that all its places mean.

    ``pixels`` has a digest of what each row shows, '' where that is not known. In a data set that is
    ``as_published`` it is the makers' own.
    """
    known = table.assign(pixels=pixels)[pixels != ""]
    found = []
    for _, rows in known[known["pixels"].duplicated(keep=False)].groupby("pixels", sort=False):
        places = rows.drop_duplicates("path")
        rule = "copies"
        if places["split"].nunique() > 1:
            rule = "leaked_by_makers" if as_published else "leaked"
        elif places["person_id"].nunique() > 1:
            rule = "two_persons"
        (first, known_content), *others = zip(places["path"], places["sha256"], strict=True)
        for other, content in others:
            same = "content" if content == known_content else "pixels"
            found.append(Finding(rule, f"{other}: the same {same} as {first}"))
    return found


def check_sizes(table: pd.DataFrame) -> list[Finding]:
    """Returns a finding for each image of fewer pixels than anybody is recognised by."""
    height, width = SMALLEST
    read = table["sha256"] != ""
    small = table[read & ((table["height"] < height) | (table["width"] < width))]
    return [
        Finding("small", f"{row.path}: {row.height}x{row.width}, below {height}x{width} (height x width)")
        for row in small.itertuples()
    ]


def check_counts(table: pd.DataFrame, published: Counts, unverified_counts: tuple[str, ...]) -> list[Finding]:
    """Returns a finding for each number that is not the published one, which for some only the literature has."""
    here = asdict(count(table))
    return [
        Finding(
            "unverified_counts",
            f"{name.replace('_', ' ')}: {number:,} published, {here[name]:,} here "
            "(a count that only the literature has)",
        )
        if name in unverified_counts
        else Finding("counts", f"{name.replace('_', ' ')}: {number:,} published, {here[name]:,} here")
        for name, number in asdict(published).items()
        if here[name] != number
    ]


def check_queries(table: pd.DataFrame) -> list[Finding]:
    """Returns a finding for each query that can't be answered."""
    return [
        Finding("unanswered", f"{path}: no image of the same identity by another camera in the gallery")
        for path in unmatched_queries(table)["path"]
    ]
