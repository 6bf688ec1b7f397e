"""Synthetic embeddings at the sizes of public data sets."""

from __future__ import annotations

from typing import Any

import numpy as np

COLUMNS, LATENT = 2048, 64  # of an embedding, and how many of them a trained network uses
ROWS_AT_ONCE = 2048


def embeddings(people: np.ndarray, is_trained: bool = True) -> np.ndarray:
    """Returns float32 [N, COLUMNS] of length 1 for who is on each image.

    Those of a trained network lie around their identity, mostly along few directions: of 17 images of a person, .84 of
    the 16 nearest to each are its own. Those of an untrained one are noise, and the hardest to tell apart.
    """
    rng = np.random.default_rng(len(people))
    if is_trained:
        spectrum = np.arange(1, LATENT + 1, dtype=np.float32) ** -0.5
        centers = rng.standard_normal((people.max() + 1, LATENT), dtype=np.float32)
        spread = centers[people] + np.float32(0.6) * rng.standard_normal((len(people), LATENT), dtype=np.float32)
        rows = (spread * spectrum) @ rng.standard_normal((LATENT, COLUMNS), dtype=np.float32)
    else:
        rows = rng.standard_normal((len(people), COLUMNS), dtype=np.float32)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        piece = rows[start : start + ROWS_AT_ONCE]
        piece += 0.1 * rng.standard_normal(piece.shape, dtype=np.float32)
        piece /= np.linalg.norm(piece, axis=1, keepdims=True)
    return rows


def retrieval_set(queries: int, gallery: int, identities: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Returns who is on each image, queries first, and labels; one gallery image in six shows a distractor."""
    rng = np.random.default_rng(1)
    people = rng.integers(1, identities + 1, queries + gallery)
    people[queries:][rng.random(gallery) < 1 / 6] += identities
    ids, cameras = np.where(people <= identities, people, 0), rng.integers(1, 7, queries + gallery)
    return people, {
        "query_ids": ids[:queries],
        "gallery_ids": ids[queries:],
        "query_cameras": cameras[:queries],
        "gallery_cameras": cameras[queries:],
    }


def training_set(images: int, identities: int) -> np.ndarray:
    """Returns embeddings of as many ``identities`` on as many ``images``, float32 [images, COLUMNS]."""
    return embeddings(np.random.default_rng(3).integers(0, identities, images))
