"""Batches: gathered from the store, augmented and normalised on the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from pipeline.batches.fused_augmentation import is_one_pass, load_by_plan, make_plan, value_table
from pipeline.batches.sending import send, send_together
from pipeline.batches.transforms import Augmentation, normalize

Item = TypeVar("Item")


@dataclass
class Batch:
    """One group of images.

    ``images``: ``[B, 3, H, W]`` normalised. ``labels``: ``[B]`` int64, contiguous training labels from 0.
    ``is_infrared``: ``[B]`` bool. ``rows``: ``[B]`` int64, rows of the store. ``num_infrared``: how many are infrared,
    where the host knows it, so that nobody has to wait for a GPU to tell.
    """

    images: Tensor
    labels: Tensor
    is_infrared: Tensor
    rows: Tensor
    num_infrared: int | None = None


def joined(batches: list[Batch]) -> Batch:
    """Returns the images of several groups as one batch, in their order."""
    names = [field.name for field in fields(Batch) if field.name != "num_infrared"]
    counts = [batch.num_infrared for batch in batches if batch.num_infrared is not None]
    return Batch(
        **{name: torch.cat([getattr(batch, name) for batch in batches]) for name in names},
        num_infrared=sum(counts) if len(counts) == len(batches) else None,
    )


class Loader:
    """Turns rows of the store into batches on a device. No decoding, no worker processes, no state.

    A GPU is sent uint8 and does the rest, and trains on images whose channels come last, as its convolutions take them;
    on a CPU one pass does it all, in one thread that leaves the others alone.

    ``images`` is ``[N, H, W, 3]`` uint8 (the store's memory map), ``cameras`` and ``is_infrared`` ``[N]``.
    ``augmentation`` None leaves the images as they are; ``dtype`` is the floating type of the batches.
    """

    def __init__(
        self,
        images: np.ndarray,
        cameras: np.ndarray,
        is_infrared: np.ndarray,
        augmentation: Augmentation | None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.images = np.asarray(images).view()
        self.images.flags.writeable = False
        self.cameras = np.asarray(cameras, dtype=np.int64)
        self.is_infrared = np.array(is_infrared, dtype=bool)
        self.augmentation = augmentation
        self.device = device
        self.dtype = dtype
        self.table = value_table(augmentation, dtype)

    def load(self, rows: np.ndarray, labels: np.ndarray, *, epoch: int, positions: np.ndarray) -> Batch:
        """Returns one group, augmented: ``rows`` and ``positions`` are ``[B]``, ``labels`` is ``[N]``.

        A position is the image's index in the epoch's sequence of drawn images: step * global batch + place
        in the global batch. With the seed and the epoch it decides the augmentation, whichever worker loads
        the image.
        """
        is_planned = self.device.type == "cpu" and is_one_pass(self.augmentation)
        images = self._by_plan(self.augmentation, rows, epoch, positions) if is_planned else self._gather(rows)
        is_infrared, own = self.is_infrared[rows], np.asarray(labels[rows], dtype=np.int64)
        draws = {} if is_planned or self.augmentation is None else self.augmentation.draw(epoch, positions)
        sent = send_together({"labels": own, "is_infrared": is_infrared, "rows": rows, **draws}, self.device)
        if self.augmentation and not is_planned:
            images = self.augmentation(images.contiguous(), sent, self.dtype)
        if not is_planned:
            form = torch.channels_last if self.device.type == "cuda" else torch.contiguous_format
            images = normalize(images, self.dtype).contiguous(memory_format=form)
        return Batch(images, sent["labels"], sent["is_infrared"], sent["rows"], int(is_infrared.sum()))

    def plain(self, rows: np.ndarray) -> Tensor:
        """Returns the images of ``rows`` normalised and not augmented, ``[B, 3, H, W]``, for embedding."""
        if self.device.type == "cpu":
            return self._by_plan(None, rows, 0, rows)
        return normalize(self._gather(rows).contiguous(), self.dtype)

    def modalities(self, rows: np.ndarray) -> Tensor:
        """Returns which images of ``rows`` are infrared, ``[B]`` bool."""
        return send(self.is_infrared[rows], self.device)

    def _by_plan(
        self, augmentation: Augmentation | None, rows: np.ndarray, epoch: int, positions: np.ndarray
    ) -> Tensor:
        height, width = self.images.shape[1:3]
        return load_by_plan(self.images, rows, make_plan(augmentation, (height, width), epoch, positions), self.table)

    def _gather(self, rows: np.ndarray) -> Tensor:
        """Returns the images of ``rows`` on the device, ``[B, 3, H, W]`` uint8, as they lie in the store."""
        return send(np.asarray(self.images[rows]), self.device).permute(0, 3, 1, 2)


def prefetched(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """Yields the items in their order while one background thread makes the next ``depth`` of them.

    An exception of the iterable is raised here, at its item. When the consumer stops early, the item being
    made is finished and no further one is begun.
    """
    source = iter(items)
    end: Any = object()
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        pending = deque(thread.submit(next, source, end) for _ in range(depth))
        try:
            while (item := pending.popleft().result()) is not end:
                pending.append(thread.submit(next, source, end))
                yield item
        finally:
            for future in pending:
                future.cancel()
