"""A network as evaluation sees it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class Embedder(nn.Module):
    """Images ``[B, 3, H, W]`` (normalised) -> embeddings ``[B, D]``.

    ``embed`` computes them; it is a method of ``network``, whose mode and device follow this module.
    """

    def __init__(self, network: nn.Module, embed: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network = network
        self._embed = embed

    def forward(self, images: Tensor) -> Tensor:
        """Returns the embeddings of ``images``."""
        return self._embed(images)
