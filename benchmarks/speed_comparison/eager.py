"""The three papers' losses and updates in plain eager form: loops over heads, views, persons and images.

They are the mathematics of ``pipeline.losses`` written down once more from the equations, as research code does it:
matrices of distances from products, a one-hot target per loss, one image at a time into a memory. The networks are
ours, in float32 and NCHW.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.batches.loading import Batch
from pipeline.losses.triplet import Margin
from pipeline.methods.mdpr.method import MDPR
from pipeline.methods.mskd.method import MSKD
from pipeline.methods.smmd.method import SMMD


def mdpr_loss(method: MDPR, batch: Batch) -> tuple[Tensor, Any]:
    """Returns MDPR's loss of one group."""
    params, output = method.params, method.network(batch.images)
    loss = batch.images.new_zeros(())
    for name, head in output.heads.items():
        loss = loss + _circle(head.cosines, batch.labels, params.scale, params.margin, params.smoothing)
        if not name.startswith("bap"):
            loss = loss + _triplet(head.vector, batch.labels, params.triplet_margin)
    for depth, by_image in output.pooled.items():
        pooled = by_image.transpose(0, 1)
        for first in range(len(pooled)):
            for second in range(first + 1, len(pooled)):
                cosines = (F.normalize(pooled[first]) * F.normalize(pooled[second])).sum(1)
                loss = loss + cosines.mean()
        for image in output.attention[depth]:
            loss = loss + params.foreground_weight * image.sum() / len(batch.labels)
    hard, soft = output.heads["hard_global"].vector, output.heads["attn4"].vector
    assert output.predictions is not None
    for answer, target in zip(output.predictions, (soft, hard), strict=True):
        loss = loss - 0.5 * F.cosine_similarity(answer, target.detach(), dim=1).mean()
    return loss, None


def mskd_loss(method: MSKD, batch: Batch) -> tuple[Tensor, Any]:
    """Returns the loss of MSKD's student of one group, and the features that move the memories."""
    params, features = method.params, method.network(batch.images)
    assert method.teacher is not None
    assert params.student is not None
    with torch.no_grad():
        taught = method.teacher(batch.images)
    loss = batch.images.new_zeros(())
    for view, feature in enumerate(features):
        contrast = F.cross_entropy(F.normalize(feature) @ method.memories[view].T / params.temperature, batch.labels)
        mimicry = (F.normalize(feature) - F.normalize(taught[view])).pow(2).sum(1).mean()
        weight = params.local_weight if view else 1 - params.local_weight
        loss = loss + weight * (contrast + params.student.mimicry_weight * mimicry)
    return loss, features.detach()


@torch.no_grad()
def mskd_update(method: MSKD, batch: Batch, features: Tensor) -> None:
    """Moves the memories, image by image."""
    for view, feature in enumerate(features):
        for vector, label in zip(feature, batch.labels.tolist(), strict=True):
            moved = method.momentum * method.memories[view, label] + (1 - method.momentum) * F.normalize(vector, dim=0)
            method.memories[view, label] = moved / moved.norm()


def smmd_loss(method: SMMD, batch: Batch) -> tuple[Tensor, Any]:
    """Returns SMMD's loss of one group, with every part on, and the vectors that move the prototypes."""
    params, labels = method.params, batch.labels
    output = method.network(batch.images, batch.is_infrared)
    mimic, mutual, heat = params.self_mimic, params.mutual, params.temperature
    assert mimic is not None
    assert mutual is not None
    loss = F.cross_entropy(output.logits, labels, label_smoothing=params.smoothing)
    loss = loss + _weighted_triplet(output.pooled, labels)
    for place, (label, side) in enumerate(zip(labels.tolist(), batch.is_infrared.long().tolist(), strict=True)):
        cosines = F.cosine_similarity(output.vector[place][None], method.prototypes[side])
        contrast = F.cross_entropy(cosines[None] / params.prototypes.temperature, labels[place][None])
        taught = F.softmax(method.network.classifier(method.prototypes[side, label]).detach() / heat, dim=0)
        shown = heat**2 * _divergence(taught, F.softmax(output.logits[place] / heat, dim=0))
        loss = loss + (mimic.contrast * contrast + mimic.weight * shown) / len(labels)
    for prototypes in method.prototypes:
        identities = torch.arange(len(prototypes), device=prototypes.device)
        classified = F.cross_entropy(method.network.classifier(prototypes), identities)
        loss = loss + mimic.classify * classified / 2
    persons = labels.unique()
    posteriors = F.softmax(output.logits / heat, dim=1)
    for person in persons:
        visible = posteriors[(labels == person) & ~batch.is_infrared].mean(0)
        infrared = posteriors[(labels == person) & batch.is_infrared].mean(0)
        apart = _divergence(infrared.detach(), visible) + _divergence(visible.detach(), infrared)
        loss = loss + mutual.weight * heat**2 * apart / len(persons)
    return loss, output.vector.detach()


@torch.no_grad()
def smmd_update(method: SMMD, batch: Batch, vectors: Tensor) -> None:
    """Moves the prototypes, person by person."""
    momentum = method.params.prototypes.momentum
    for person in batch.labels.unique().tolist():
        for side in (0, 1):
            mean = vectors[(batch.labels == person) & (batch.is_infrared.long() == side)].mean(0)
            method.prototypes[side, person] = momentum * method.prototypes[side, person] + (1 - momentum) * mean


def _circle(cosines: Tensor, labels: Tensor, scale: float, margin: float, smoothing: float) -> Tensor:
    of_label = scale * F.relu(1 + margin - cosines.detach()) * (cosines - (1 - margin))
    of_others = scale * F.relu(cosines.detach() + margin) * (cosines - margin)
    is_label = F.one_hot(labels, cosines.shape[1])
    logits = of_label * is_label + of_others * (1 - is_label)
    targets = is_label * (1 - smoothing) + (1 - is_label) * smoothing / (cosines.shape[1] - 1)
    losses = -(targets * F.log_softmax(logits, dim=1)).sum(1)
    return losses.sum() / (losses > 0).sum().clamp(min=1)


def _distances(vectors: Tensor) -> Tensor:
    squares = vectors.pow(2).sum(1, keepdim=True)
    return (squares + squares.T - 2 * vectors @ vectors.T).clamp(min=1e-12).sqrt()


def _triplet(vectors: Tensor, labels: Tensor, margin: Margin) -> Tensor:
    distances, is_same = _distances(vectors), labels[:, None] == labels[None]
    farthest = torch.stack([row[same].max() for row, same in zip(distances, is_same, strict=True)])
    nearest = torch.stack([row[~same].min() for row, same in zip(distances, is_same, strict=True)])
    if not margin or margin == "soft":
        return F.soft_margin_loss(nearest - farthest, torch.ones_like(nearest))
    return F.margin_ranking_loss(nearest, farthest, torch.ones_like(nearest), margin=margin)


def _weighted_triplet(vectors: Tensor, labels: Tensor) -> Tensor:
    distances, is_same = _distances(vectors), (labels[:, None] == labels[None]).to(vectors)
    largest = (distances * is_same).max(1, keepdim=True).values
    near, far = (distances - largest).exp() * is_same, (-distances).exp() * (1 - is_same)
    positive = (distances * near / (near.sum(1, keepdim=True) + 1e-6)).sum(1)
    negative = (distances * far / (far.sum(1, keepdim=True) + 1e-6)).sum(1)
    return F.soft_margin_loss(negative - positive, torch.ones_like(negative))


def _divergence(teacher: Tensor, student: Tensor) -> Tensor:
    return F.kl_div(student.log(), teacher, reduction="sum")
