"""Two branches teach each other."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

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
