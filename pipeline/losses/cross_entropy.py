"""Cross-entropy with label smoothing, as fast-reid counts it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SmoothedCrossEntropy(nn.Module):
    """Identity loss: logits ``[B, K]`` and labels ``[B]`` -> scalar.

    ``L = sum_b H(q_b, softmax(l_b)) / n`` with ``q = 1 - smoothing`` on the label and
    ``smoothing / (K - 1)`` on every other class; ``n`` counts the images whose loss is not zero (at least 1).
    ``torch.nn.functional.cross_entropy`` spreads the smoothing over all K classes instead.

    Source: fast-reid c9bc3ce, ``cross_entropy_loss``.

    Raises:
        ValueError: for fewer than two classes.
    """

    def __init__(self, *, smoothing: float) -> None:
        super().__init__()
        self.smoothing = smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss of the batch."""
        num_classes = logits.shape[1]
        if num_classes < 2:
            raise ValueError(f"expected logits of at least 2 classes, got {num_classes}")
        log_probabilities = F.log_softmax(logits, dim=1)
        on_label = log_probabilities.gather(1, labels[:, None]).squeeze(1)
        elsewhere = log_probabilities.sum(dim=1) - on_label
        losses = -(1 - self.smoothing) * on_label - self.smoothing / (num_classes - 1) * elsewhere
        return losses.sum() / torch.count_nonzero(losses.detach()).clamp(min=1)
