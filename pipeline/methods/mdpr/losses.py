"""The losses that MDPR alone uses: circle softmax, attention diversity, mutual distillation."""

from __future__ import annotations

from typing import Literal

import torch
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


class AttentionDiversityLoss(nn.Module):
    """Vectors pooled under M attention maps ``[M, B, C]`` -> scalar; one map alone gives 0.

    ``sum over pairs m < n of mean_b cos(v_mb, v_nb)``: maps that pool the same thing cost.

    Source: KuilongCui/MDPR 89d9737, ``cross_catgory_loss``.
    """

    def forward(self, pooled: Tensor) -> Tensor:
        """Returns the loss of the batch."""
        vectors = F.normalize(pooled, dim=2)
        similarities = torch.einsum("mbc,nbc->mn", vectors, vectors) / pooled.shape[1]
        return similarities.triu(diagonal=1).sum()


class ForegroundMassLoss(nn.Module):
    """Attention maps of the foreground ``[B, M, H, W]`` -> scalar.

    ``weight / B * sum of all maps``: what isn't needed should go to the background.

    Source: KuilongCui/MDPR 89d9737, ``MDPR.forward`` (weight 0.001 there).
    """

    def __init__(self, *, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, maps: Tensor) -> Tensor:
        """Returns the loss of the batch."""
        return self.weight * maps.sum() / maps.shape[0]


Form = Literal["predictor_cosine", "cosine", "mse", "logit_kl"]
Pair = tuple[Tensor, Tensor]
"""One tensor of each branch."""


class MutualDistillationLoss(nn.Module):
    """Vectors, logits and predictions of two branches -> scalar.

    ``1/2 [d(a_1, sg(t_2)) + d(a_2, sg(t_1))]`` where ``sg`` stops the gradient and ``form`` says what is
    compared, as a mean over the batch:

    - "predictor_cosine", the paper's: ``d`` is the negative cosine, ``a`` the predictions, ``t`` the vectors;
    - "cosine", "mse": the negative cosine or the squared difference of the vectors themselves;
    - "logit_kl": the divergence of softmax(a) from softmax(t), both being logits.

    Source: KuilongCui/MDPR 89d9737, ``MDPR.forward``; the other forms are ours, for its ablation (logit_kl as
    in Zhang et al., "Deep Mutual Learning", CVPR 2018).

    Raises:
        ValueError: for an unknown form, or when the form needs predictions and there are none.
    """

    def __init__(self, *, form: Form) -> None:
        super().__init__()
        if form not in ("predictor_cosine", "cosine", "mse", "logit_kl"):
            raise ValueError(f"form: expected predictor_cosine, cosine, mse or logit_kl, got {form!r}")
        self.form = form

    def forward(self, vectors: Pair, logits: Pair, predictions: Pair | None) -> Tensor:
        """Returns the loss of the batch: vectors and predictions ``[B, C]``, logits ``[B, K]``."""
        if self.form == "logit_kl":
            answers, targets = logits, logits
        elif self.form == "predictor_cosine":
            if predictions is None:
                raise ValueError("predictor_cosine compares predictions, got none: build the network with predictors")
            answers, targets = predictions, vectors
        else:
            answers, targets = vectors, vectors
        first, second = targets
        return 0.5 * (self._distance(answers[0], second.detach()) + self._distance(answers[1], first.detach()))

    def _distance(self, answer: Tensor, target: Tensor) -> Tensor:
        if self.form == "mse":
            return F.mse_loss(answer, target)
        if self.form == "logit_kl":
            return F.kl_div(
                F.log_softmax(answer, dim=1),
                F.log_softmax(target, dim=1),
                reduction="batchmean",
                log_target=True,
            )
        return -F.cosine_similarity(answer, target, dim=1).mean()
