"""Horizontal stripes of a map."""

from __future__ import annotations

from torch import Tensor


def stripes(maps: Tensor, count: int) -> list[Tensor]:
    """Returns ``maps`` ``[B, C, H, W]`` cut along its height into ``count`` stripes, from top to bottom.

    Where ``count`` doesn't divide H the last stripe is the smaller one (``torch.chunk``).

    Raises:
        ValueError: when that leaves fewer than ``count`` stripes.
    """
    cut = list(maps.chunk(count, dim=2))
    if len(cut) != count:
        raise ValueError(f"cannot cut {maps.shape[2]} rows into {count} stripes: torch.chunk makes {len(cut)}")
    return cut


def check_stripes(count: int, *, rows: int, height: int) -> None:
    """Ensures that ``count`` stripes of a map of ``rows`` rows are all equally high.

    Raises:
        ValueError: naming the image's ``height`` and the counts that it allows.
    """
    if count and rows % count:
        allowed = ", ".join(str(number) for number in range(1, rows + 1) if rows % number == 0)
        raise ValueError(
            f"part_num: {count} stripes do not divide the {rows} rows that the map of an image of {height} pixels "
            f"height has; use one of {allowed} (0 for none), or another image height"
        )
