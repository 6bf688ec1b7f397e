"""MDPR: a hard and a soft branch that teach each other."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pipeline.backbones.resnet import BackboneParams, ResNet
from pipeline.batches.loading import Batch
from pipeline.batches.samplers import describe_identities, identity_batches
from pipeline.layers.embedder import Embedder
from pipeline.layers.parts import check_stripes
from pipeline.losses.triplet import Margin, TripletLoss
from pipeline.methods.mdpr.authors import mdpr_from_authors
from pipeline.methods.mdpr.losses import (
    AttentionDiversityLoss,
    CircleSoftmaxLoss,
    ForegroundMassLoss,
    MutualDistillationLoss,
)
from pipeline.methods.mdpr.network import MDPRNetwork, MDPROutput
from pipeline.training.method import Method, MethodParams, StepOutput


class MDPRParams(MethodParams):
    """Every number and switch of the method.

    Network: ``part_num`` stripes (0 for none), ``attn_num`` attention maps at each depth; the rest are switches.
    Losses: ``scale``, ``margin`` and ``smoothing`` of the circle softmax; ``diversity`` keeps attention maps apart
    and, times ``foreground_weight``, small; ``triplet_margin`` is a margin, or "soft", which 0 means too;
    ``distillation`` is "none" or the form of the mutual distillation.
    ``features``: what the test feature is made of, some of hard_global, hard_parts, attn4, attn3, fusion.
    """

    backbone: BackboneParams
    embedding_dim: int
    hard_global: bool
    part_num: int
    soft: bool
    attn_num: int
    attn_guided: bool
    bap_heads: bool
    fusion: bool
    diversity: bool
    foreground_weight: float
    distillation: Literal["none", "predictor_cosine", "cosine", "mse", "logit_kl"]
    scale: float
    margin: float
    smoothing: float
    triplet_margin: Margin
    features: list[str]


class MDPR(Method):
    """The network of ``MDPRNetwork`` under the sum of up to 19 loss terms, each of weight 1.

    ``height`` and ``width``: of the images, in pixels. ``seed`` fills the network and orders the batches.

    Source: "Mutual Distillation Learning For Person Re-Identification" (arXiv 2401.06430); KuilongCui/MDPR 89d9737.

    Raises:
        ValueError: when stripes don't divide the map's height, or a switch or feature needs what is switched off.
    """

    params_type = MDPRParams
    supervision = "supervised"
    cameras = "not used"
    network: MDPRNetwork

    def __init__(self, params: MDPRParams, *, num_classes: int, height: int, width: int, seed: int) -> None:
        super().__init__()
        self.params = params
        self.groups = params.batch.groups
        self.seed = seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            backbone = ResNet(**params.backbone.model_dump())
            check_stripes(params.part_num, rows=backbone.map_size(height), height=height)
            self.network = MDPRNetwork(
                backbone=backbone,
                num_classes=num_classes,
                embedding_dim=params.embedding_dim,
                hard_global=params.hard_global,
                part_num=params.part_num,
                soft=params.soft,
                attention=params.bap_heads or params.diversity,
                attn_num=params.attn_num,
                attn_guided=params.attn_guided,
                bap_heads=params.bap_heads,
                fusion=params.fusion,
                predictors=params.distillation == "predictor_cosine",
            )
        self.network.feature_heads(params.features)
        self.identity_loss = CircleSoftmaxLoss(scale=params.scale, margin=params.margin, smoothing=params.smoothing)
        self.triplet_loss = TripletLoss(margin=params.triplet_margin or "soft")
        self.diversity_loss = AttentionDiversityLoss()
        self.foreground_loss = ForegroundMassLoss(weight=params.foreground_weight)
        self.distillation_loss: MutualDistillationLoss | None = None
        if params.distillation != "none":
            if not (params.hard_global and params.soft):
                raise ValueError("distillation needs hard_global and soft: it is between their global vectors")
            self.distillation_loss = MutualDistillationLoss(form=params.distillation)

    @classmethod
    def from_authors(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns a state by our names from one by the names of github.com/KuilongCui/MDPR."""
        return mdpr_from_authors(state)

    def describe_labels(self, labels: np.ndarray, is_infrared: np.ndarray) -> str:
        """Returns how many identities have too few images."""
        return describe_identities(labels, identities=self.params.batch.identities, images=self.params.batch.images)

    def batches(self, labels: np.ndarray, epoch: int) -> Iterable[np.ndarray]:
        """Yields identity batches."""
        return identity_batches(labels, seed=self.seed, epoch=epoch, **self.params.batch.model_dump())

    def run_network(self, batch: Batch) -> MDPROutput:
        """Returns heads, attention, vectors pooled under it, and predictions."""
        return self.network(batch.images)

    def find_loss(self, output: MDPROutput, batch: Batch) -> StepOutput:
        """Returns the sum of all terms of one group."""
        with torch.autocast(batch.images.device.type, enabled=False):
            terms = self.terms(output, batch.labels)
            loss = torch.stack(list(terms.values())).sum()
        return StepOutput(loss, {name: term.detach() for name, term in terms.items()})

    def terms(self, output: MDPROutput, labels: Tensor) -> dict[str, Tensor]:
        """Returns each loss term by name; with everything switched on and two stripes they are 19."""
        terms: dict[str, Tensor] = {}
        for name, head in output.heads.items():
            terms[f"{name}/identity"] = self.identity_loss(head.cosines, labels)
            if not name.startswith("bap"):
                terms[f"{name}/triplet"] = self.triplet_loss(head.vector, labels)
        if self.params.diversity:
            for depth, pooled in output.pooled.items():
                terms[f"attn{depth}/diversity"] = self.diversity_loss(pooled.transpose(0, 1))
                terms[f"attn{depth}/foreground"] = self.foreground_loss(output.attention[depth])
        if self.distillation_loss is not None:
            hard, soft = output.heads["hard_global"], output.heads["attn4"]
            terms["mutual_distillation"] = self.distillation_loss(
                vectors=(hard.vector, soft.vector),
                logits=(self.params.scale * hard.cosines, self.params.scale * soft.cosines),
                predictions=output.predictions,
            )
        return terms

    def embedder(self) -> Embedder:
        """Returns images -> the embeddings of ``features`` side by side."""
        return Embedder(self.network, partial(self.network.embed, features=self.params.features))

    def embedding_parts(self) -> dict[str, slice]:
        """Returns the columns of each head."""
        names = self.network.feature_heads(self.params.features)
        ends = np.cumsum([self.network.dims[name] for name in names]).tolist()
        return {name: slice(start, end) for name, start, end in zip(names, [0, *ends], ends, strict=False)}

    def foregrounds(self) -> dict[str, Embedder]:
        """Returns the attention at both depths, all maps but that of the background."""
        if self.network.soft is None or self.network.soft.attention is None:
            return {}
        return {
            f"attention{depth}": Embedder(self.network, partial(self.network.foreground, depth=depth))
            for depth in (4, 3)
        }
