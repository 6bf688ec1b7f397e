"""The images of a folder that are nearest to one, by a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.evaluation.postprocessing import unit_rows
from pipeline.inference import Network, embed_images, list_images, open_network, read_images, read_pixels
from pipeline.inputs import check_plain, printable

IMAGES_AT_ONCE = 64
COLUMNS = 6  # of images in a drawing


@dataclass(frozen=True)
class Match:
    """A gallery image and its distance from the query: 1 less the cosine of their embeddings."""

    file: Path
    distance: float


def embed_files(network: Network, files: Sequence[Path], *, is_infrared: bool = False) -> np.ndarray:
    """Returns the embeddings of image files at length 1, float32 ``[N, D]``.

    ``is_infrared`` is for networks that are told it.

    Raises:
        ValueError: naming a file that is no readable image.
    """
    parts = []
    for start in range(0, len(files), IMAGES_AT_ONCE):
        images = read_images(files[start : start + IMAGES_AT_ONCE], network.height, network.width, network.resampling)
        parts.append(embed_images(network, images, np.full(len(images), is_infrared)))
    return unit_rows(np.concatenate(parts))


def rank(query: np.ndarray, gallery: np.ndarray, files: Sequence[Path], count: int) -> list[Match]:
    """Returns the ``count`` images nearest to a query ``[D]``, nearest first, by embeddings of length 1 ``[N, D]``."""
    distances = 1 - gallery.astype(np.float64) @ query.astype(np.float64)
    nearest = np.argsort(distances, kind="stable")[:count]
    return [Match(files[place], float(distances[place])) for place in nearest]


def draw(query: Path, matches: Sequence[Match], file: Path) -> None:
    """Draws the query and its matches, nearest first, into a PNG file."""
    from matplotlib.figure import Figure

    shown = [
        (query, "query"),
        *((match.file, f"{place}   {match.distance:.3f}") for place, match in enumerate(matches, 1)),
    ]
    rows = -(-len(shown) // COLUMNS)
    figure = Figure(figsize=(1.5 * COLUMNS, 3.3 * rows), layout="constrained")
    panels = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for panel in panels:
        panel.set_axis_off()
    for panel, (path, title) in zip(panels, shown, strict=False):
        panel.imshow(read_pixels(path))
        panel.set_title(
            f"{title}\n{printable(path.name)[-22:]}", fontsize=7, fontweight="bold" if path is query else "normal"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})


def search(checkpoint: Path, folder: Path, query: Path, *, count: int, infrared: str) -> list[Match]:
    """Returns the images of a folder that are nearest to the query; its own file is none of them.

    ``infrared``: which side was seen in infrared light: ``none``, ``query``, ``gallery`` or ``both``.

    Raises:
        FileNotFoundError, ValueError: when one of them can't be what it is given as.
    """
    if count < 1:
        raise ValueError(f"count: expected 1 image to show, or more, got {count}")
    if query.is_dir():
        raise ValueError(f"{query} is a folder, expected a plain file: the query is one image of it")
    check_plain(query)
    files = [file for file in list_images(folder) if not file.samefile(query)]
    if not files:
        raise ValueError(f"{folder}: holds nothing but the query")
    network = open_network(checkpoint)
    (embedded,) = embed_files(network, [query], is_infrared=infrared in ("query", "both"))
    gallery = embed_files(network, files, is_infrared=infrared in ("gallery", "both"))
    return rank(embedded, gallery, files, count)
