"""MSKD: contrast of three views against clusters, and a student that learns from a finished teacher."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from pipeline.backbones import weights
from pipeline.backbones.resnet import BackboneParams, ResNet
from pipeline.batches.loading import Batch
from pipeline.clustering.pseudo_labels import find_clusters
from pipeline.clustering.quality import measure_quality
from pipeline.config import Record
from pipeline.layers.embedder import Embedder
from pipeline.layers.pooling import Pooling
from pipeline.methods.mskd.authors import mskd_from_authors
from pipeline.methods.mskd.batches import cluster_batches, describe_clusters
from pipeline.methods.mskd.losses import MimickedViews, MultiViewLoss, centroids, update_memory
from pipeline.methods.mskd.network import MSKDNetwork, Stripes, split_views
from pipeline.training.cluster_labels import read_labels
from pipeline.training.method import EmbedAll, Method, MethodParams, StepOutput
from pipeline.training.workers import Workers


class ClusteringParams(Record):
    """How embeddings become clusters.

    ``center_cameras`` takes each camera's mean from its embeddings first. The Jaccard distance has ``k1`` and ``k2``
    neighbours; that of each local view weighs ``local_weight``, the global one's the rest. DBSCAN joins images within
    ``eps`` of one that has ``min_samples`` so near, itself among them.
    """

    center_cameras: bool
    local_weight: Annotated[float, Field(ge=0)]
    k1: Annotated[int, Field(ge=1)]
    k2: Annotated[int, Field(ge=1)]
    eps: Annotated[float, Field(gt=0)]
    min_samples: Annotated[int, Field(ge=1)]


class FirstPassParams(Record):
    """A first epoch that differs from all others.

    ``clusters`` is the folder of a cluster stage whose labels it takes, or None to make its own; ``iterations`` and
    ``momentum`` stand for those of the method, 1.0 leaving the memories as they are.
    """

    clusters: str | None
    iterations: Annotated[int, Field(ge=1)]
    momentum: Annotated[float, Field(ge=0, le=1)]


class StudentParams(Record):
    """What a student has beyond a teacher.

    ``teacher`` is the folder of its checkpoint. ``mimicry_weight`` (mu) weighs the distance to its features in the
    ``mimicked`` views, all or the global one. ``teacher_statistics`` says whether its BatchNorm normalises by those of
    the batch, as the authors' code does, or by the running ones, as at test time; its weights never change.
    """

    teacher: str
    mimicry_weight: Annotated[float, Field(ge=0)]
    mimicked: MimickedViews
    teacher_statistics: Literal["batch", "running"]


class MSKDParams(MethodParams):
    """Every number and switch of the method.

    Network: ``stripes`` local views beside the global one, 0 for none; ``pooling`` of each; ``features`` are what is
    compared at test time.
    Contrast: ``temperature``; ``momentum`` of the memories (the share that stays); ``local_weight`` (lambda2) of each
    local view, ``1 - local_weight`` of the global one. ``iterations`` steps make an epoch; ``other_cameras_first``
    fills a cluster's images from other cameras. ``clustering.local_weight`` is lambda1.
    Cluster Contrast: no stripes, no student. Teacher: stripes. Student: stripes, a student's block, a first pass.
    """

    backbone: BackboneParams
    pooling: Pooling
    stripes: Stripes
    features: Literal["global", "all"]
    temperature: float
    momentum: Annotated[float, Field(ge=0, le=1)]
    local_weight: Annotated[float, Field(ge=0, le=1)]
    iterations: Annotated[int, Field(ge=1)]
    other_cameras_first: bool
    clustering: ClusteringParams
    first_pass: FirstPassParams | None
    student: StudentParams | None


class MSKD(Method):
    """The network of ``MSKDNetwork``, contrasted view by view with memories of clusters that are found every epoch.

    ``height`` and ``width``: of the images, in pixels; the network takes any. ``seed`` fills the network and orders
    the batches. State without gradient: ``memories`` ``[V, C, D]``, rebuilt every epoch, and the ``teacher``.

    Source: "Learning to Purification for Unsupervised Person Re-identification" (arXiv 2204.09931);
    tengxiao14/Purification_ReID de659b8, ``examples/Purification_train_usl_teacher.py`` and ``..._usl.py``; without
    stripes Cluster Contrast (alibaba/cluster-contrast-reid 57b62e9). Epoch 0 here is their epoch -1.
    """

    params_type = MSKDParams
    supervision = "unsupervised"
    network: MSKDNetwork
    memories: Tensor

    def __init__(self, params: MSKDParams, *, num_classes: int, height: int, width: int, seed: int) -> None:
        super().__init__()
        _check_weights(params)
        self.params = params
        self.groups = params.batch.groups
        self.seed = seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = self._build()
        self.teacher = self._build().requires_grad_(False) if params.student else None
        self.loss = MultiViewLoss(
            views=self.network.views,
            temperature=params.temperature,
            local_weight=params.local_weight,
            mimicry_weight=params.student.mimicry_weight if params.student else 0.0,
            mimicked=params.student.mimicked if params.student else "all",
        )
        self.register_buffer("memories", torch.zeros(len(self.network.views), 0, self.network.backbone.channels[-1]))
        self.first_labels: Path | None = None
        self.momentum = params.momentum
        self.cameras = _use_of_cameras(params)

    def _build(self) -> MSKDNetwork:
        backbone = ResNet(**self.params.backbone.model_dump())
        return MSKDNetwork(backbone=backbone, pooling=self.params.pooling, stripes=self.params.stripes)

    @classmethod
    def from_authors(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns a state by our names from one by the names of github.com/tengxiao14/Purification_ReID."""
        return mskd_from_authors(state)

    @classmethod
    def sources(cls, params: MSKDParams) -> dict[str, str]:
        """Returns the teacher's weights and the labels of the first pass, where there are any."""
        files = {}
        if params.student:
            files["teacher"] = f"{params.student.teacher}/model.safetensors"
        if params.first_pass and params.first_pass.clusters:
            files["clusters"] = f"{params.first_pass.clusters}/labels.parquet"
        return files

    def begin_training(self, cameras: np.ndarray, is_infrared: np.ndarray, sources: Mapping[str, Path]) -> None:
        """Takes in the cameras, the teacher's weights and the labels of the first pass."""
        self.camera_of_row = cameras
        if self.teacher is not None and "teacher" in sources:
            weights.load_network(self.teacher, weights.read_state(sources["teacher"]))
        self.first_labels = sources.get("clusters")

    def train(self, mode: bool = True) -> MSKD:
        """Sets the mode of everything but a teacher that is to normalise by its running statistics."""
        super().train(mode)
        if self.teacher is not None and self.params.student and self.params.student.teacher_statistics == "running":
            self.teacher.eval()
        return self

    def describe_labels(self, labels: np.ndarray, is_infrared: np.ndarray) -> str:
        """Returns how many clusters there are, and how many are too small or too few."""
        return describe_clusters(labels, **self.params.batch.model_dump())

    def enter_epoch(self, epoch: int) -> None:
        """Sets the momentum of the epoch's memories."""
        first = self._first_pass(epoch)
        self.momentum = first.momentum if first else self.params.momentum

    def begin_epoch(self, epoch: int, embed_all: EmbedAll, labels: np.ndarray) -> np.ndarray:
        """Returns the clusters of the images that ``labels`` are not -1 for, after a memory was made of each.

        They are found once, by the first worker. Those given for the first pass are taken as they are; its memories are
        then of the teacher's features, if there is a teacher, and of the network's own if not.

        Raises:
            ValueError: when there are fewer than two clusters, so that there is nothing to contrast.
        """
        rows = np.flatnonzero(labels >= 0)
        given = self.first_labels if epoch == 0 else None
        views = _embed_views(self.teacher if given and self.teacher is not None else self.network, embed_all)

        def cluster() -> tuple[np.ndarray, Tensor]:
            found = read_labels(given, rows) if given else self._cluster(views, rows)
            _check_clusters(found, epoch)
            return found, centroids(views, torch.from_numpy(found))

        found, memories = Workers.current().run_on_first(cluster)
        self.memories = memories.to(self.memories)
        return _spread(found, rows, len(labels))

    def find_labels(self, embed_all: EmbedAll, labels: np.ndarray) -> np.ndarray:
        """Returns the clusters of the images that ``labels`` are not -1 for, by the network as it is."""
        rows = np.flatnonzero(labels >= 0)
        return _spread(self._cluster(_embed_views(self.network, embed_all), rows), rows, len(labels))

    def _cluster(self, views: Tensor, rows: np.ndarray) -> np.ndarray:
        settings = self.params.clustering.model_dump()
        return find_clusters(views.float().numpy(), self.camera_of_row[rows], **settings, device=self.memories.device)

    def batches(self, labels: np.ndarray, epoch: int) -> Iterable[np.ndarray]:
        """Yields cluster batches."""
        first = self._first_pass(epoch)
        return cluster_batches(
            labels,
            self.camera_of_row if self.params.other_cameras_first else None,
            **self.params.batch.model_dump(),
            steps=first.iterations if first else self.params.iterations,
            seed=self.seed,
            epoch=epoch,
        )

    def _first_pass(self, epoch: int) -> FirstPassParams | None:
        return self.params.first_pass if epoch == 0 else None

    def run_network(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Returns the features of all views ``[B, V, D]``, and those of the teacher, if there is one."""
        features = self.network(batch.images).transpose(0, 1)
        if self.teacher is None:
            return features, None
        with torch.no_grad():
            taught = self.teacher(batch.images).transpose(0, 1)
        return features, taught

    def find_loss(self, output: tuple[Tensor, Tensor | None], batch: Batch) -> StepOutput:
        """Returns the sum of all terms of one group."""
        features, taught = output[0].transpose(0, 1), None if output[1] is None else output[1].transpose(0, 1)
        with torch.autocast(batch.images.device.type, enabled=False):
            loss, terms = self.loss(features, batch.labels, self.memories, taught)
        parts = {name: term.detach() for name, term in terms.items()}
        return StepOutput(loss, parts, {"features": features.detach().transpose(0, 1)})

    def after_step(self, labels: Tensor, shared: dict[str, Tensor]) -> None:
        """Moves the memories by the whole batch."""
        update_memory(self.memories, shared["features"].transpose(0, 1), labels, momentum=self.momentum)

    @staticmethod
    def label_quality(
        labels: np.ndarray, before: np.ndarray | None, identities: np.ndarray, cameras: np.ndarray
    ) -> dict[str, float]:
        """Returns how good the clusters are."""
        return measure_quality(labels, before=before, identities=identities, cameras=cameras)

    def embedder(self) -> Embedder:
        """Returns images -> the global view, or all views side by side."""
        is_global = self.params.features == "global"
        return Embedder(self.network, self.network.embed if is_global else self.network.embed_views)


def _embed_views(network: MSKDNetwork, embed_all: EmbedAll) -> Tensor:
    """Returns all views of the images, ``[V, images, D]`` on the CPU."""
    return split_views(embed_all(Embedder(network, network.embed_views)), len(network.views))


def _spread(labels: np.ndarray, rows: np.ndarray, num_rows: int) -> np.ndarray:
    """Returns labels ``[num_rows]``: those of ``rows``, and -1."""
    spread = np.full(num_rows, -1, dtype=np.int64)
    spread[rows] = labels
    return spread


def _check_weights(params: MSKDParams) -> None:
    """Ensures that the weights of the views are those of views that there are, and that none is below 0."""
    for name, weight in (
        ("local_weight", params.local_weight),
        ("clustering.local_weight", params.clustering.local_weight),
    ):
        if weight and not params.stripes:
            raise ValueError(f"{name}: expected 0 without stripes, as there are no local views, got {weight}")
    if params.clustering.local_weight * params.stripes > 1:
        raise ValueError(
            f"clustering.local_weight: expected at most 1 / {params.stripes}, so that the global view's share is not "
            f"negative, got {params.clustering.local_weight}"
        )


def _use_of_cameras(params: MSKDParams) -> str:
    uses = ["batches from other cameras first"] if params.other_cameras_first else []
    uses += ["clusters after each camera's mean is removed"] if params.clustering.center_cameras else []
    return ", ".join(uses) or "not used"


def _check_clusters(labels: np.ndarray, epoch: int) -> None:
    """Ensures that there is something to contrast: a single cluster has a loss of 0, and no gradient."""
    num_clusters = np.unique(labels[labels >= 0]).size
    if num_clusters < 2:
        found = f"all {labels.size} images are noise" if not num_clusters else "all are in one cluster, or noise"
        advice = "raise" if not num_clusters else "lower"
        raise ValueError(
            f"epoch {epoch + 1}: {found}, so there is nothing to contrast: {advice} clustering.eps, or start from "
            "better weights"
        )
