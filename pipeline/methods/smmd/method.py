"""SMMD, a reconstruction: persons across visible and infrared light by self-mimic and mutual distillation.

Of the paper (Zhang et al., "Self-Mimic Mutual-Distillation for Cross-Modality Person Re-Identification", ICME 2022) the
abstract alone is public. It says: features are aligned within each modality first, then across; self-mimic learns for
each identity prototypes that are globally viewed, stable and discriminative, and lessens the discrepancy within a
modality; mutual distillation lessens that of each person's distributions across modalities; no parameter is added to
the baseline. How these are computed is not public: every equation here is a reconstruction, and its choices are
parameters. The baselines are those of Ye et al. (TPAMI 2021) by their code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.backbones.resnet import BackboneParams, ResNet
from pipeline.batches.loading import Batch
from pipeline.batches.sending import send
from pipeline.config import Record
from pipeline.layers.embedder import Embedder
from pipeline.losses.feature_mimicry import FeatureMimicryLoss
from pipeline.losses.triplet import TripletLoss
from pipeline.methods.smmd.authors import agw_from_authors
from pipeline.methods.smmd.batches import describe_modalities, modality_batches
from pipeline.methods.smmd.losses import (
    Direction,
    ModalityDistillationLoss,
    PrototypeContrastLoss,
    WeightedTripletLoss,
    divergence,
    similarities_to,
    soften,
    update_prototypes,
)
from pipeline.methods.smmd.network import TwoStreamNetwork, TwoStreamOutput
from pipeline.training.method import EmbedAll, Method, MethodParams, StepOutput

Weight = Annotated[float, Field(ge=0)]
Epoch = Annotated[int, Field(ge=0)]


class TwoStreamParams(MethodParams):
    """The baselines: ``base`` has average pooling, no non-local block and batch-hard triplets of ``triplet_margin``;
    ``agw`` has GeM, non-local blocks in layers 2 and 3 and weighted triplets, without a margin ("weighted", or null).

    ``batch.images`` counts those of each identity in each modality. Losses are summed with weight 1.
    """

    backbone: BackboneParams
    pooling: Literal["gem", "average"]
    non_local: Annotated[tuple[int, int, int, int], Field(strict=False)]
    smoothing: Annotated[float, Field(ge=0, lt=1)]
    triplet_margin: Annotated[float, Field(ge=0)] | Literal["soft", "weighted"] | None


class PrototypeParams(Record):
    """Where prototypes come from.

    ``source``: "average" moves them by each batch, ``momentum`` being the share that stays (0: the last batch's mean);
    "epoch" takes the mean of all images at the start of every epoch; "classifier" takes the classifier's rows for both
    modalities. ``momentum`` is read by "average" alone. ``temperature`` divides the cosines of images and prototypes.
    """

    source: Literal["average", "epoch", "classifier"]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    temperature: Annotated[float, Field(gt=0)]


class SelfMimicParams(Record):
    """An image learns from its identity's prototype of its own modality, from epoch ``first_epoch`` (counted from 0).

    ``form``: "feature" compares directions, "posterior" class posteriors. ``contrast`` weighs the contrast against all
    prototypes, ``classify`` the identity loss of the prototypes, which moves the classifier alone; both keep prototypes
    discriminative, and start with the first epoch.
    """

    form: Literal["feature", "posterior"]
    weight: Weight
    first_epoch: Epoch
    contrast: Weight
    classify: Weight


class MutualParams(Record):
    """The modalities of a person learn from each other, from epoch ``first_epoch`` (counted from 0).

    ``level``: "instance" and "person" as in ``ModalityDistillationLoss``; "prototype" has the posterior of the other
    modality's prototype as teacher of each image; "relation" compares a person's softened similarities to the
    prototypes of the other modality.
    """

    level: Literal["instance", "person", "prototype", "relation"]
    direction: Direction
    weight: Weight
    first_epoch: Epoch


class SMMDParams(TwoStreamParams):
    """A baseline's numbers, and distillation's; ``temperature`` softens posteriors, null switches a part off."""

    temperature: Annotated[float, Field(gt=0)]
    prototypes: PrototypeParams
    self_mimic: SelfMimicParams | None
    mutual: MutualParams | None


class TwoStream(Method):
    """The baselines: identity loss after the neck, triplets over both modalities before it.

    ``height`` and ``width``: of the images, in pixels; the network takes any. ``seed`` fills the network and orders
    the batches.

    Source: Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook" (TPAMI 2021);
    Cross-Modal-Re-ID-baseline e817a26, ``train.py`` with ``--method base`` and ``agw``.
    Differs: batch-hard triplets are those of Hermans et al. with distances that do not come from a matrix product.
    """

    params_type: ClassVar[type[MethodParams]] = TwoStreamParams
    supervision = "supervised"
    cameras = "modality only"
    network: TwoStreamNetwork

    def __init__(self, params: TwoStreamParams, *, num_classes: int, height: int, width: int, seed: int) -> None:
        super().__init__()
        self.batch = params.batch
        self.groups = params.batch.groups
        self.seed = seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = TwoStreamNetwork(
                backbone=ResNet(**params.backbone.model_dump()),
                pooling=params.pooling,
                non_local=params.non_local,
                num_classes=num_classes,
            )
        self.identity_loss = nn.CrossEntropyLoss(label_smoothing=params.smoothing)
        if params.triplet_margin is None or params.triplet_margin == "weighted":
            self.triplet_loss: nn.Module = WeightedTripletLoss()
        else:
            self.triplet_loss = TripletLoss(margin=params.triplet_margin or "soft")

    @classmethod
    def from_authors(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns a state by our names from one of AGW by github.com/mangye16/Cross-Modal-Re-ID-baseline."""
        return agw_from_authors(state)

    def begin_training(self, cameras: np.ndarray, is_infrared: np.ndarray, sources: Mapping[str, Path]) -> None:
        """Takes in the modality of every row."""
        self.is_infrared = is_infrared

    def heads(self) -> list[nn.Module]:
        """Returns neck and classifier, which the authors of AGW train ten times as fast as the rest."""
        return [self.network.neck, self.network.classifier]

    def describe_labels(self, labels: np.ndarray, is_infrared: np.ndarray) -> str:
        """Returns how many images there are, and how many identities were seen in one modality only."""
        return describe_modalities(labels, is_infrared)

    def batches(self, labels: np.ndarray, epoch: int) -> Iterable[np.ndarray]:
        """Yields batches of persons in both modalities."""
        return modality_batches(labels, self.is_infrared, **self.batch.model_dump(), seed=self.seed, epoch=epoch)

    def run_network(self, batch: Batch) -> TwoStreamOutput:
        """Returns pooled maps, vectors after the neck and class scores."""
        return self.network(batch.images, batch.is_infrared, batch.num_infrared)

    def find_loss(self, output: TwoStreamOutput, batch: Batch) -> StepOutput:
        """Returns the sum of all terms of one group."""
        with torch.autocast(batch.images.device.type, enabled=False):
            output.logits = output.logits.to(output.pooled.dtype)
            terms = self.losses(output, batch)
            loss = torch.stack(list(terms.values())).sum()
        return StepOutput(loss, {name: term.detach() for name, term in terms.items()}, self.shared(output, batch))

    def losses(self, output: TwoStreamOutput, batch: Batch) -> dict[str, Tensor]:
        """Returns the weighted terms of the loss, by name."""
        return {
            "identity": self.identity_loss(output.logits, batch.labels),
            "triplet": self.triplet_loss(output.pooled, batch.labels),
        }

    def shared(self, output: TwoStreamOutput, batch: Batch) -> dict[str, Tensor]:
        """Returns what ``after_step`` needs of the whole batch."""
        return {}

    def embedder(self) -> Embedder:
        """Returns images and their modality -> embeddings after the neck."""
        return Embedder(self.network, self.network.embed, by_modality=True)


class SMMD(TwoStream):
    """A baseline whose images learn from prototypes, and whose modalities learn from each other.

    State without gradient: ``prototypes`` ``[2, K, C]`` (visible, infrared) of vectors after the neck, and ``seen``
    ``[2, K]``, which of them have been visited. No parameter is added to the baseline.

    Source: a reconstruction; see the head of this file.
    """

    params_type = SMMDParams
    prototypes: Tensor
    seen: Tensor

    def __init__(self, params: SMMDParams, *, num_classes: int, height: int, width: int, seed: int) -> None:
        super().__init__(params, num_classes=num_classes, height=height, width=width, seed=seed)
        self.params = params
        channels = self.network.classifier.in_features
        self.register_buffer("prototypes", torch.zeros(2, num_classes, channels))
        self.register_buffer("seen", torch.zeros(2, num_classes, dtype=torch.bool))
        self.epoch = 0
        self.feature_mimicry = FeatureMimicryLoss()
        self.contrast = PrototypeContrastLoss(temperature=params.prototypes.temperature)
        if mutual := params.mutual:
            self.distillation = ModalityDistillationLoss(
                level="instance" if mutual.level == "instance" else "person",
                direction=mutual.direction,
                temperature=params.temperature,
            )

    def enter_epoch(self, epoch: int) -> None:
        """Notes the epoch, by which terms begin."""
        self.epoch = epoch

    def begin_epoch(self, epoch: int, embed_all: EmbedAll, labels: np.ndarray) -> np.ndarray:
        """Returns the labels as they are, after prototypes were taken anew where they come from a whole epoch."""
        if self.params.prototypes.source == "epoch":
            rows = np.flatnonzero(labels >= 0)
            features = embed_all(self.embedder()).to(self.prototypes)
            identities, sides = torch.from_numpy(labels[rows]), torch.from_numpy(self.is_infrared[rows])
            device = self.prototypes.device
            self._update(features, identities.to(device), sides.to(device), momentum=0.0)
        return labels

    def losses(self, output: TwoStreamOutput, batch: Batch) -> dict[str, Tensor]:
        """Returns the baseline's terms and those of distillation."""
        terms = super().losses(output, batch)
        prototypes, seen = self._prototypes()
        mimic, mutual = self.params.self_mimic, self.params.mutual
        if mimic:
            terms["contrast"] = mimic.contrast * self.contrast(
                output.vector, batch.labels, batch.is_infrared, prototypes, seen
            )
            terms["classify"] = mimic.classify * self._classify(prototypes, seen)
            if self.epoch >= mimic.first_epoch:
                terms["self_mimic"] = mimic.weight * self._mimic(output, batch, prototypes, seen)
        if mutual and self.epoch >= mutual.first_epoch:
            terms["mutual"] = mutual.weight * self._mutual(output, batch, prototypes, seen)
        return terms

    def _prototypes(self) -> tuple[Tensor, Tensor]:
        """Returns the prototypes ``[2, K, C]`` and whether each was seen ``[2, K]``."""
        if self.params.prototypes.source == "classifier":
            rows = self.network.classifier.weight.detach()
            return torch.stack([rows, rows]), torch.ones_like(self.seen)
        return self.prototypes, self.seen

    def _classify(self, prototypes: Tensor, seen: Tensor) -> Tensor:
        """Returns the identity loss of all prototypes seen; its gradient goes to the classifier alone."""
        identities = torch.arange(prototypes.shape[1], device=prototypes.device).expand(2, -1)
        losses = F.cross_entropy(
            self.network.classifier(prototypes).flatten(0, 1), identities.flatten(), reduction="none"
        )
        return (losses * seen.flatten()).sum() / seen.sum().clamp(min=1)

    def _mimic(self, output: TwoStreamOutput, batch: Batch, prototypes: Tensor, seen: Tensor) -> Tensor:
        """Returns how far the images are from the prototypes of their identity and modality."""
        side = batch.is_infrared.long()
        own, has_own = prototypes[side, batch.labels], seen[side, batch.labels]
        if self.params.self_mimic is not None and self.params.self_mimic.form == "feature":
            # An image without a prototype is its own: at no distance.
            own = torch.where(has_own[:, None], own, output.vector.detach())
            return self.feature_mimicry(output.vector, own)
        return (self._taught(own, output.logits) * has_own).mean()

    def _taught(self, prototypes: Tensor, logits: Tensor) -> Tensor:
        """Returns the divergence ``[B]`` of images from the posteriors of their teachers, prototypes ``[B, C]``."""
        temperature = self.params.temperature
        teacher = soften(self.network.classifier(prototypes).detach(), temperature)
        return divergence(teacher, soften(logits, temperature), temperature)

    def _mutual(self, output: TwoStreamOutput, batch: Batch, prototypes: Tensor, seen: Tensor) -> Tensor:
        """Returns how far the modalities of each person are apart, by the level."""
        mutual = self.params.mutual
        assert mutual is not None
        other = 1 - batch.is_infrared.long()
        if mutual.level == "prototype":
            taught = seen[other, batch.labels]
            if mutual.direction != "both":
                taught = taught & (batch.is_infrared if mutual.direction == "from_visible" else ~batch.is_infrared)
            losses = self._taught(prototypes[other, batch.labels], output.logits)
            return (losses * taught).sum() / taught.sum().clamp(min=1)
        posteriors = soften(output.logits, self.params.temperature)
        if mutual.level == "relation":
            cosines = similarities_to(output.vector, prototypes)[other, torch.arange(len(other), device=other.device)]
            posteriors = soften(cosines / self.params.prototypes.temperature, self.params.temperature)
        return self.distillation(posteriors, batch.labels, batch.is_infrared)

    def shared(self, output: TwoStreamOutput, batch: Batch) -> dict[str, Tensor]:
        """Returns vectors and modalities."""
        return {"vectors": output.vector.detach(), "is_infrared": batch.is_infrared.long()}

    def after_step(self, labels: Tensor, shared: dict[str, Tensor]) -> None:
        """Moves the prototypes by the whole batch, where they follow it."""
        if self.params.prototypes.source == "average":
            identities, momentum = send(labels.numpy(), self.prototypes.device), self.params.prototypes.momentum
            self._update(shared["vectors"], identities, shared["is_infrared"].bool(), momentum=momentum)

    def _update(self, features: Tensor, labels: Tensor, is_infrared: Tensor, *, momentum: float) -> None:
        update_prototypes(self.prototypes, self.seen, features, labels, is_infrared, momentum=momentum)
