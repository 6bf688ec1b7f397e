"""In which order the images of clusters come: rows of a global batch, deterministic in (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def cluster_batches(
    labels: np.ndarray,
    cameras: np.ndarray | None,
    *,
    groups: int,
    identities: int,
    images: int,
    steps: int,
    seed: int,
    epoch: int,
) -> Iterator[np.ndarray]:
    """Yields the rows of ``steps`` global batches, int64 ``[groups, identities * images]``.

    ``labels`` ``[N]`` are clusters, -1 for noise, which is never drawn; ``cameras`` ``[N]``, or None to be blind to
    them. A pass shuffles the clusters and deals them out, ``groups * identities`` different ones to a batch; it ends
    when fewer are left, and the next pass begins. With fewer clusters than that in all, a batch takes all of them
    as evenly often as it can.

    Of a cluster, one image is drawn first, then ``images - 1`` of its images from other cameras, or, where there is
    no other camera (or ``cameras`` is None), of its other images. They are drawn with replacement when there are
    fewer of them than ``images``. A cluster of one image repeats it.

    What is yielded depends on the arguments alone: workers pick their groups, they do not draw their own.

    Raises:
        ValueError: when there is no cluster.

    Source: RandomMultipleGallerySampler and ...NoCam of SpCL (Ge et al., NeurIPS 2020), in
    tengxiao14/Purification_ReID de659b8, and its loader that drops the incomplete batch of a pass and begins a new one
    with every epoch.
    Differs: a cluster of one image fills its place, where the reference takes it once and lets the next cluster move
    up, because a group has one shape; with too few clusters for a batch the reference stops.
    """
    clusters = _members(labels)
    if not clusters:
        raise ValueError(
            f"there is no cluster among {labels.size} images, so there is nothing to train on: raise the clustering's "
            "eps, lower its min_samples, or start from better weights"
        )
    generator = np.random.default_rng([seed, epoch])
    return _steps(clusters, cameras, groups, identities, images, steps, generator)


def _members(labels: np.ndarray) -> list[np.ndarray]:
    """Returns the rows of each cluster, ascending."""
    rows = np.flatnonzero(labels >= 0)
    by_label = rows[np.argsort(labels[rows], kind="stable")]
    return np.split(by_label, np.flatnonzero(np.diff(labels[by_label])) + 1) if rows.size else []


def _steps(
    clusters: list[np.ndarray],
    cameras: np.ndarray | None,
    groups: int,
    identities: int,
    images: int,
    steps: int,
    generator: np.random.Generator,
) -> Iterator[np.ndarray]:
    dealt = _deal(len(clusters), groups * identities, generator)
    for _ in range(steps):
        drawn = [_draw(clusters[cluster], cameras, images, generator) for cluster in next(dealt)]
        yield np.concatenate(drawn).reshape(groups, identities * images)


def _deal(num_clusters: int, at_once: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Yields the clusters of one batch after the other, ``[at_once]``."""
    while True:
        passes = -(-at_once // num_clusters)
        shuffled = np.concatenate([generator.permutation(num_clusters) for _ in range(passes)])
        yield from shuffled[: shuffled.size // at_once * at_once].reshape(-1, at_once)


def _draw(members: np.ndarray, cameras: np.ndarray | None, images: int, generator: np.random.Generator) -> np.ndarray:
    """Returns ``images`` rows of one cluster."""
    first = generator.choice(members)
    others = members[members != first]
    if cameras is not None:
        elsewhere = members[cameras[members] != cameras[first]]
        others = elsewhere if elsewhere.size else others
    if not others.size:
        return np.full(images, first)
    rest = generator.choice(others, images - 1, replace=others.size < images)
    return np.concatenate([[first], rest])


def describe_clusters(labels: np.ndarray, *, groups: int, identities: int, images: int) -> str:
    """Returns one line for people: clusters, noise, and what the sampler must repeat."""
    counts = np.unique(labels[labels >= 0], return_counts=True)[1]
    noise = labels.size - int(counts.sum())
    line = f"{counts.size} clusters, {noise} of {labels.size} images are noise"
    if short := int((counts < images).sum()):
        line += f"; {short} clusters have fewer than {images} images and repeat theirs"
    if counts.size < groups * identities:
        line += f"; a batch wants {groups * identities} clusters and repeats some"
    return line
