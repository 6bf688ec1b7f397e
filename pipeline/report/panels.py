"""Single panels as SVG, small enough for a phone; what colours tell apart, dashes or shapes tell apart too."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.report.pictures import data_uri
from pipeline.tables.figures import COLOURS, MARKERS, Curve, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLE: Any = {
    "svg.fonttype": "path",
    "svg.hashsalt": "report",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a929c",
    "axes.labelcolor": "#3c444d",
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "xtick.color": "#3c444d",
    "ytick.color": "#3c444d",
    "hatch.linewidth": 0.6,
}
SAME, OTHER = COLOURS[0], COLOURS[1]
OTHERS_GREY = "#c3c8ce"


def curves(
    given: Mapping[str, Curve], look: Mapping[str, Look], *, x: str, y: str, from_zero: bool = True, marks: bool = True
) -> str:
    """Returns the curves, each in the look of its experiment; ``marks`` shows their points."""

    def draw(panel: Axes) -> None:
        for name, (xs, ys) in given.items():
            (line,) = panel.plot(xs, ys, color=look[name].colour, linestyle=look[name].dash, linewidth=1.7)
            line.set_marker(look[name].marker if marks else "")
            line.set_markersize(3.5)
            line.set_clip_on(False)
        lowest = min(value for _, ys in given.values() for value in ys)
        if from_zero:
            panel.set_ylim(bottom=min(0.0, 1.1 * lowest))
        panel.set(xlabel=x, ylabel=y)
        panel.locator_params(axis="x", integer=True)

    return _svg(draw)


def histogram(edges: np.ndarray, same: np.ndarray, other: np.ndarray, *, highest: float) -> str:
    """Returns shares of pairs of one identity (filled) and of two (dashed) by distance, on a scale to ``highest``."""

    def draw(panel: Axes) -> None:
        panel.stairs(same, edges, fill=True, color=SAME, alpha=0.35, linewidth=0)
        panel.stairs(same, edges, color=SAME, linewidth=1.5)
        panel.stairs(other, edges, color=OTHER, linewidth=1.6, linestyle=(0, (4, 2)))
        panel.set(xlabel="distance", yticks=[], xlim=(edges[0], edges[-1]), ylim=(0, highest))
        panel.spines["left"].set_visible(False)

    return _svg(draw, width=2.9, height=1.9)


def scatter(points: np.ndarray, groups: np.ndarray, is_hollow: np.ndarray) -> str:
    """Returns ``points [N, 2]``: each of the ``groups`` (0, 1, ...) in a colour and shape, -1 as small grey dots."""

    def draw(panel: Axes) -> None:
        rest = groups < 0
        panel.scatter(points[rest, 0], points[rest, 1], s=5, color=OTHERS_GREY, linewidths=0)
        for group in range(groups.max() + 1):
            colour, marker = COLOURS[group % len(COLOURS)], MARKERS[group % len(MARKERS)]
            for hollow in (False, True):
                chosen = (groups == group) & (is_hollow == hollow)
                face = "none" if hollow else colour
                xs, ys = points[chosen].T
                panel.scatter(xs, ys, s=22, marker=marker, facecolors=face, edgecolors=colour, linewidths=1)
        panel.set(xticks=[], yticks=[])
        panel.spines[["left", "bottom"]].set_visible(False)

    return _svg(draw, height=3.2)


def swatch(look: Look) -> str:
    """Returns a short line in the look of an experiment, for a legend."""

    def draw(panel: Axes) -> None:
        panel.plot([0, 1, 2], [0, 0, 0], color=look.colour, linestyle=look.dash, linewidth=2)
        panel.plot([1], [0], color=look.colour, marker=look.marker, markersize=5)
        panel.set_axis_off()

    return _svg(draw, width=0.75, height=0.2)


def overlay(image: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Returns ``image`` (uint8 ``[H, W, 3]``) in grey under ``attention`` (``[h, w]`` in [0, 1]), bright where high."""
    from matplotlib import colormaps
    from PIL import Image

    size = (image.shape[1], image.shape[0])
    smooth = np.asarray(Image.fromarray(attention.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    heat = 255 * colormaps["inferno"](smooth)[:, :, :3]
    grey = image.mean(axis=2, keepdims=True)
    return (0.35 * grey + 0.65 * heat).clip(0, 255).astype(np.uint8)


def _svg(draw: Callable[[Axes], None], width: float = 3.6, height: float = 2.6) -> str:
    """Returns axes of so many inches, after ``draw`` has drawn into them."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    stream = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.subplots())
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return data_uri(stream.getvalue(), "image/svg+xml")
