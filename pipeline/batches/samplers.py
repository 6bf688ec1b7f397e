"""In which order images come: rows of a global batch, deterministic in (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from pipeline.config import Record


class BatchParams(Record):
    """A global batch: ``groups`` groups of ``identities`` identities with ``images`` images each."""

    groups: Annotated[int, Field(ge=1)]
    identities: Annotated[int, Field(ge=2)]
    images: Annotated[int, Field(ge=1)]


def identity_batches(
    labels: np.ndarray, *, groups: int, identities: int, images: int, seed: int, epoch: int
) -> Iterator[np.ndarray]:
    """Yields the rows of each global batch of one epoch, int64 ``[groups, identities * images]``.

    A group holds ``identities`` different labels with ``images`` rows each, next to each other. ``labels`` is
    ``[N]``; rows labelled -1 are never drawn. A pass shuffles the rows of every label and consumes them
    ``images`` at a time; it ends when fewer than ``identities`` labels have ``images`` rows left, and the
    next pass begins. A label with fewer rows than ``images`` is filled up by repeating its shuffled rows;
    rows left over at the end of a pass are dropped. The groups of one step may share a label. An epoch has
    ``floor(labelled rows / global batch)`` steps, at least 1. What is yielded depends on the arguments alone:
    workers pick their groups, they do not draw their own.

    Raises:
        ValueError: when there are fewer labels than ``identities``.

    Source: NaiveIdentitySampler of fast-reid, github.com/KuilongCui/MDPR at 89d9737.
    Differs: a label with too few rows repeats all of them, where the reference draws with replacement and can
    leave rows out; a pass may end inside a step, where the reference drops the groups that no longer fill
    one; an epoch starts a pass of its own, because a resumed run must not depend on the epochs before.
    """
    num_labels = np.unique(labels[labels >= 0]).size
    if num_labels < identities:
        raise ValueError(
            f"a group needs {identities} identities, but only {num_labels} are labelled: "
            "lower the batch's identities or give more data"
        )
    return _steps(labels, groups, identities, images, np.random.default_rng([seed, epoch]))


def _steps(
    labels: np.ndarray, groups: int, identities: int, images: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    stream = _endless_groups(labels, identities, images, generator)
    for _ in range(num_steps(labels, groups * identities * images)):
        yield np.stack([next(stream) for _ in range(groups)])


def num_steps(labels: np.ndarray, global_batch: int) -> int:
    """Returns the steps of one epoch: full global batches of labelled rows, at least 1."""
    return max(1, int((labels >= 0).sum()) // global_batch)


def _endless_groups(
    labels: np.ndarray, identities: int, images: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yields groups ``[identities * images]``, pass after pass."""
    rows_of = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels[labels >= 0])}
    while True:
        left = {label: _chunks(rows, images, generator) for label, rows in rows_of.items()}
        while len(left) >= identities:
            chosen = generator.choice(np.array(list(left)), identities, replace=False)
            yield np.concatenate([left[label].pop() for label in chosen])
            left = {label: chunks for label, chunks in left.items() if chunks}


def _chunks(rows: np.ndarray, images: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Returns the shuffled rows in pieces of ``images``: repeated when too few, the rest dropped."""
    shuffled = generator.permutation(rows)
    if shuffled.size < images:
        return [np.resize(shuffled, images)]
    return list(shuffled[: shuffled.size // images * images].reshape(-1, images))


def describe_identities(labels: np.ndarray, *, identities: int, images: int) -> str:
    """Returns one line for people: how many identities the sampler must fill up by repetition, if any."""
    counts = np.unique(labels[labels >= 0], return_counts=True)[1]
    short = int((counts < images).sum())
    line = f"{counts.sum()} images of {counts.size} identities, {identities} x {images} to a group"
    if short:
        line += f"; {short} identities have fewer than {images} images and repeat theirs"
    return line
