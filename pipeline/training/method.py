"""What the loop asks of a method. One paper = one ``Method``; the loop knows this protocol and no paper."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor, nn

from pipeline.batches.loading import Batch
from pipeline.batches.samplers import BatchParams
from pipeline.config import Record
from pipeline.layers.embedder import Embedder


@dataclass
class StepOutput:
    """The loss of one group of images.

    ``loss``: scalar with gradient. ``parts``: its named terms, detached scalars, for people to read.
    ``shared``: detached tensors ``[B, ...]`` that ``Method.after_step`` needs of the whole global batch; the loop
    joins them over groups and workers in the global order.
    """

    loss: Tensor
    parts: dict[str, Tensor]
    shared: dict[str, Tensor] = field(default_factory=dict)


EmbedAll = Callable[[Embedder], Tensor]
"""Embeds the images for training, those not labelled -1, by an embedder: -> ``[images, D]`` on the CPU, all workers."""


class MethodParams(Record):
    """What every method's block of params.yaml has; methods add their own keys."""

    batch: BatchParams


class Method(nn.Module, ABC):
    """A paper: how its network, losses, batches and state work together.

    ``network`` holds everything that is trained. Whatever else the method registers (frozen teachers, cluster
    memories, prototypes) is state without gradient: it is saved with the checkpoint and must be identical on all
    workers. ``groups`` is the number of groups in a global batch.

    Built as ``Kind(params, num_classes=, height=, width=, seed=)``: ``params`` is a ``params_type``, which reads the
    method's block of params.yaml; height and width are those of the images, in pixels. ``supervision`` and ``cameras``
    (what training does with camera labels) go into the stamp of its results. An unsupervised method is never shown
    an identity: the labels that it gets are 0 for images to train on and -1 for all others, ``num_classes`` is 1.
    """

    params_type: ClassVar[type[MethodParams]]
    supervision: ClassVar[Literal["supervised", "unsupervised"]]
    cameras: str
    network: nn.Module
    groups: int

    @abstractmethod
    def batches(self, labels: np.ndarray, epoch: int) -> Iterable[np.ndarray]:
        """Yields the rows of each global batch, ``[groups, images of a group]`` int64, deterministic in ``epoch``.

        ``labels`` is ``[N]`` int64; images labelled -1 are never drawn.
        """

    @classmethod
    def from_authors(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns a state by our names from one by the names of the paper's authors.

        Raises:
            ValueError: for a method whose authors published no weights.
        """
        raise ValueError(f"{cls.__name__}: there are no authors' weights to read; leave out --authors")

    @classmethod
    def sources(cls, params: Any) -> dict[str, str]:
        """Returns the files of earlier stages that training by ``params`` reads: name -> path, as in params.yaml."""
        return {}

    def begin_training(self, cameras: np.ndarray, is_infrared: np.ndarray, sources: Mapping[str, Path]) -> None:
        """Takes in what training needs besides images, before its first epoch and before it goes on with a later one.

        ``cameras`` and ``is_infrared`` are ``[N]``, for every row of the store; ``sources`` holds the files that were
        asked for.
        """

    def heads(self) -> list[nn.Module]:
        """Returns the parts of the network that start weights never fill, which an optimizer may move faster."""
        return []

    def describe_labels(self, labels: np.ndarray, is_infrared: np.ndarray) -> str:
        """Returns a line that users should read before training on an epoch's ``labels``, or nothing.

        Both are ``[images]``, of the images to train on alone.
        """
        return ""

    @staticmethod
    def label_quality(
        labels: np.ndarray, before: np.ndarray | None, identities: np.ndarray, cameras: np.ndarray
    ) -> dict[str, float]:
        """Returns what is to be recorded of an epoch's ``labels`` ``[images]``, beside those of the epoch before.

        It alone sees the true identities of a method that makes its own labels; being static, it can't pass them on.
        """
        return {}

    def enter_epoch(self, epoch: int) -> None:
        """Sets what follows from the number of the epoch alone, before it begins and before it is gone on with."""

    def begin_epoch(self, epoch: int, embed_all: EmbedAll, labels: np.ndarray) -> np.ndarray:
        """Returns the labels ``[N]`` of this epoch, -1 leaves an image out. Re-clustering lives here."""
        return labels

    def find_labels(self, embed_all: EmbedAll, labels: np.ndarray) -> np.ndarray:
        """Returns labels ``[N]`` of the images that ``labels`` are not -1 for, by the network as it is.

        Raises:
            ValueError: for a method that makes no labels of its own.
        """
        raise ValueError(
            f"{type(self).__name__} learns from given labels and makes none of its own: nothing to cluster"
        )

    @abstractmethod
    def run_network(self, batch: Batch) -> Any:
        """Returns all that the loss needs of the network: tensors ``[B, ...]``, in dataclasses, dictionaries or tuples.

        ``batch`` holds one group, or several one after the other, whose BatchNorm the loop keeps apart; frozen networks
        that see the images run here too.
        """

    @abstractmethod
    def find_loss(self, output: Any, batch: Batch) -> StepOutput:
        """Returns the loss of one group, by what ``run_network`` made of it."""

    def forward(self, batch: Batch) -> StepOutput:
        """Returns the loss of one group."""
        return self.find_loss(self.run_network(batch), batch)

    def after_step(self, labels: Tensor, shared: dict[str, Tensor]) -> None:
        """Updates state without gradient from the whole global batch, identically on all workers.

        ``labels`` is ``[groups * B]`` on the CPU, ``shared`` holds ``[groups * B, ...]``, both in the global order.
        """

    @abstractmethod
    def embedder(self) -> Embedder:
        """Returns images -> embeddings, as evaluation uses it."""

    def embedding_parts(self) -> dict[str, slice]:
        """Returns the columns of each part that an embedding is made of, by name; nothing where it has no parts."""
        return {}

    def foregrounds(self) -> dict[str, Embedder]:
        """Returns by name what the network takes for the person: images -> shares in [0, 1], ``[B, H * W]`` by rows.

        Nothing for a network that does not say.
        """
        return {}
