"""The strong baseline: identity loss and batch-hard triplets on one vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch

from pipeline.backbones.resnet import BackboneParams, ResNet
from pipeline.batches.loading import Batch
from pipeline.batches.samplers import describe_identities, identity_batches
from pipeline.layers.embedder import Embedder
from pipeline.losses.cross_entropy import SmoothedCrossEntropy
from pipeline.losses.triplet import Margin, TripletLoss
from pipeline.methods.baseline.network import BaselineNetwork, BaselineOutput
from pipeline.training.method import Method, MethodParams, StepOutput


class BaselineParams(MethodParams):
    """Every number of the method; losses are summed with weight 1.

    ``triplet_margin``: a margin, or "soft", which 0 means too.
    """

    backbone: BackboneParams
    pooling: Literal["gem", "average"]
    smoothing: float
    triplet_margin: Margin


class Baseline(Method):
    """ResNet, pooling and BN neck; smoothed cross-entropy after the neck, triplets before it.

    ``height`` and ``width``: of the images, in pixels; the network takes any. ``seed`` fills the network and
    orders the batches.

    Source: Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-identification" (2019).
    Differs: no center loss, which no method here uses.
    """

    params_type = BaselineParams
    supervision = "supervised"
    cameras = "not used"
    network: BaselineNetwork

    def __init__(self, params: BaselineParams, *, num_classes: int, height: int, width: int, seed: int) -> None:
        super().__init__()
        self.batch = params.batch
        self.groups = params.batch.groups
        self.seed = seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = BaselineNetwork(
                backbone=ResNet(**params.backbone.model_dump()),
                pooling=params.pooling,
                num_classes=num_classes,
            )
        self.identity_loss = SmoothedCrossEntropy(smoothing=params.smoothing)
        self.triplet_loss = TripletLoss(margin=params.triplet_margin or "soft")

    def describe_labels(self, labels: np.ndarray, is_infrared: np.ndarray) -> str:
        """Returns how many identities have too few images."""
        return describe_identities(labels, identities=self.batch.identities, images=self.batch.images)

    def batches(self, labels: np.ndarray, epoch: int) -> Iterable[np.ndarray]:
        """Yields identity batches."""
        return identity_batches(labels, seed=self.seed, epoch=epoch, **self.batch.model_dump())

    def run_network(self, batch: Batch) -> BaselineOutput:
        """Returns pooled maps, embeddings and class scores."""
        return self.network(batch.images)

    def find_loss(self, output: BaselineOutput, batch: Batch) -> StepOutput:
        """Returns identity loss + triplet loss of one group."""
        with torch.autocast(batch.images.device.type, enabled=False):
            terms = {
                "identity": self.identity_loss(output.logits.to(output.pooled.dtype), batch.labels),
                "triplet": self.triplet_loss(output.pooled, batch.labels),
            }
            loss = torch.stack(list(terms.values())).sum()
        return StepOutput(loss, {name: term.detach() for name, term in terms.items()})

    def embedder(self) -> Embedder:
        """Returns images -> embeddings after the neck."""
        return Embedder(self.network, self.network.embed)
