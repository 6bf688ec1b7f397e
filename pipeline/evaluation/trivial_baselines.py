"""What a method has to beat: rankings that chance, colours and raw pixels give, from images [N, H, W, 3] (uint8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.evaluation.trials import COUNTED
from pipeline.neighbors.arrays import as_images

IMAGES_AT_ONCE = 256


def chance(
    measure: Callable[[np.ndarray], dict[str, float]], is_query: Any, *, columns: int, trials: int, seed: int
) -> dict[str, float]:
    """Returns the mean metrics of ``trials`` rankings by random embeddings with ``columns`` numbers, and mAP_std.

    ``measure`` returns the metrics by embeddings [N, columns], of which ``is_query`` [N] tells the queries.
    """
    generator, is_query = np.random.default_rng(seed), np.asarray(is_query, dtype=bool)
    runs = []
    for _ in range(trials):
        features = np.empty((len(is_query), columns))
        for side in (is_query, ~is_query):
            features[side] = generator.standard_normal((np.count_nonzero(side), columns))
        runs.append(measure(features))
    means = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    counts = {name: runs[0][name] for name in COUNTED}
    return {**means, **counts, "mAP_std": float(np.std([run["mAP"] for run in runs]))}


def colour_stripes(images: Any, *, stripes: int, bins: int) -> np.ndarray:
    """Returns the colour histograms of horizontal stripes, float32 [N, stripes * bins^3].

    Each histogram counts red, green and blue together in ``bins`` steps each; square roots are taken, so that the
    cosine of two features is the mean Bhattacharyya coefficient of their stripes.
    """
    images = as_images("images", images)
    num_images, height = images.shape[:2]
    if not 1 <= stripes <= height:
        raise ValueError(f"colour_stripes: {stripes} stripes do not fit into {height} pixels")
    if not 1 <= bins <= 256:
        raise ValueError(f"colour_stripes: expected 1 to 256 bins per colour, got {bins}")
    size = stripes * bins**3
    stripe_of_row = np.arange(height) * stripes // height * bins**3
    features = np.empty((num_images, size), dtype=np.float32)
    for start in range(0, num_images, IMAGES_AT_ONCE):
        block = images[start : start + IMAGES_AT_ONCE].astype(np.int64) * bins // 256
        cells = block @ np.array([bins * bins, bins, 1]) + stripe_of_row[:, None]
        cells += np.arange(len(block))[:, None, None] * size
        counts = np.bincount(cells.ravel(), minlength=len(block) * size).reshape(len(block), size)
        features[start : start + IMAGES_AT_ONCE] = np.sqrt(counts / cells[0].size)
    return features


def raw_pixels(images: Any, *, height: int, width: int) -> np.ndarray:
    """Returns the pixels averaged down to ``height`` x ``width``, float32 [N, height * width * 3] in [0, 1].

    The image's height and width must be multiples of them.
    """
    images = as_images("images", images)
    num_images, full_height, full_width = images.shape[:3]
    if full_height % height or full_width % width:
        raise ValueError(
            f"raw_pixels: images of {full_height}x{full_width} can't be averaged to {height}x{width}: "
            "choose divisors of height and width"
        )
    features = np.empty((num_images, height * width * 3), dtype=np.float32)
    for start in range(0, num_images, IMAGES_AT_ONCE):
        block = images[start : start + IMAGES_AT_ONCE]
        cells = block.reshape(len(block), height, full_height // height, width, full_width // width, 3)
        features[start : start + IMAGES_AT_ONCE] = (cells.mean(axis=(2, 4)) / 255).reshape(len(block), -1)
    return features
