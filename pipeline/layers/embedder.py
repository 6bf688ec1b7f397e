"""A network as evaluation sees it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class Embedder(nn.Module):
    """Images ``[B, 3, H, W]`` (normalised) and ``is_infrared [B]`` -> embeddings ``[B, D]``.

    ``embed`` computes them; it is a method of ``network``, whose mode and device follow this module. It takes the
    images, and their modality too where ``by_modality``.
    """

    def __init__(self, network: nn.Module, embed: Callable[..., Tensor], *, by_modality: bool = False) -> None:
        super().__init__()
        self.network = network
        self._embed = embed
        self.by_modality = by_modality

    def forward(self, images: Tensor, is_infrared: Tensor | None = None) -> Tensor:
        """Returns the embeddings of ``images``; a network that takes no modality need not be told."""
        return self._embed(images, is_infrared) if self.by_modality else self._embed(images)
