"""Circle-softmax identity loss."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.losses.cross_entropy import SmoothedCrossEntropy


class CircleSoftmaxLoss(nn.Module):
    """Identity loss: cosines ``[B, K]`` to the class weights and labels ``[B]`` -> scalar.

    With ``s`` the cosines, ``g`` the scale and ``m`` the margin, smoothed cross-entropy over
    ``l_y = g [1 + m - s_y]_+ (s_y - (1 - m))`` for the label and ``l_k = g [s_k + m]_+ (s_k - m)`` for every
    other class; the brackets weigh and carry no gradient.

    Source: Sun et al., "Circle Loss" (CVPR 2020), its class-level form; fast-reid c9bc3ce, ``CircleSoftmax``.
    """

    def __init__(self, *, scale: float, margin: float, smoothing: float) -> None:
        super().__init__()
        self.scale = scale
        self.margin = margin
        self.cross_entropy = SmoothedCrossEntropy(smoothing=smoothing)

    def logits(self, cosines: Tensor, labels: Tensor) -> Tensor:
        """Returns the re-weighted logits ``[B, K]``."""
        fixed = cosines.detach()
        on_label = (1 + self.margin - fixed).relu() * (cosines - (1 - self.margin))
        elsewhere = (fixed + self.margin).relu() * (cosines - self.margin)
        is_label = F.one_hot(labels, cosines.shape[1]).bool()
        return self.scale * on_label.where(is_label, elsewhere)

    def forward(self, cosines: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss of the batch."""
        return self.cross_entropy(self.logits(cosines, labels), labels)
