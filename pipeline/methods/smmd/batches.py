"""In which order visible and infrared images come: rows of a global batch, deterministic in (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def modality_batches(
    labels: np.ndarray,
    is_infrared: np.ndarray,
    *,
    groups: int,
    identities: int,
    images: int,
    seed: int,
    epoch: int,
) -> Iterator[np.ndarray]:
    """Yields the rows of an epoch's global batches, int64 ``[groups, 2 * identities * images]``.

    ``labels`` ``[N]``, -1 for images never drawn; ``is_infrared`` ``[N]``. A group holds ``identities`` persons that
    both modalities have seen, drawn anew for each group: first ``images`` visible ones of each, then as many infrared
    ones of the same persons in the same order. A person's images are drawn without replacement; who has fewer repeats
    them. An epoch has as many steps as the larger modality fills its places.

    What is yielded depends on the arguments alone: workers pick their groups, they do not draw their own.

    Raises:
        ValueError: when fewer than ``identities`` persons are seen in both modalities.

    Source: IdentitySampler of Cross-Modal-Re-ID-baseline e817a26.
    Differs: there images are drawn with replacement always, and the epoch has one step more than its loader asks for.
    """
    visible, infrared = _members(labels, ~is_infrared), _members(labels, is_infrared)
    persons = np.array(sorted(visible.keys() & infrared.keys()), dtype=np.int64)
    if persons.size < identities:
        raise ValueError(
            f"a group needs {identities} identities, but only {persons.size} are seen in both modalities: "
            "lower the batch's identities or give more data"
        )
    generator = np.random.default_rng([seed, epoch])
    larger = max(sum(map(len, side.values())) for side in (visible, infrared))
    for _ in range(max(1, larger // (groups * identities * images))):
        yield np.stack(
            [
                _group(visible, infrared, generator.choice(persons, identities, replace=False), images, generator)
                for _ in range(groups)
            ]
        )


def describe_modalities(labels: np.ndarray, is_infrared: np.ndarray) -> str:
    """Returns one line for people: how many images there are, and who is seen in one modality only."""
    visible, infrared = (np.unique(labels[(labels >= 0) & side]) for side in (~is_infrared, is_infrared))
    counts = [int(((labels >= 0) & side).sum()) for side in (~is_infrared, is_infrared)]
    both = np.intersect1d(visible, infrared)
    line = f"{counts[0]} visible and {counts[1]} infrared images of {both.size} identities seen in both"
    alone = [(len(side) - both.size, name) for side, name in ((visible, "visible"), (infrared, "infrared"))]
    if any(count for count, _ in alone):
        line += "; never drawn, as seen in one only: " + " and ".join(
            f"{count} {name}" for count, name in alone if count
        )
    return line


def _members(labels: np.ndarray, side: np.ndarray) -> dict[int, np.ndarray]:
    return {int(label): np.flatnonzero(side & (labels == label)) for label in np.unique(labels[side & (labels >= 0)])}


def _group(
    visible: dict[int, np.ndarray],
    infrared: dict[int, np.ndarray],
    persons: np.ndarray,
    images: int,
    generator: np.random.Generator,
) -> np.ndarray:
    return np.concatenate(
        [
            np.resize(generator.permutation(side[int(person)]), images)
            for side in (visible, infrared)
            for person in persons
        ]
    )
