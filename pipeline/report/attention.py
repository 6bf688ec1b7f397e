"""Where MDPR's soft branch looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from pipeline.batches.transforms import normalize
from pipeline.images.store import ImageStore
from pipeline.methods.mdpr.method import MDPR
from pipeline.methods.mdpr.network import MDPRNetwork
from pipeline.scoring.evaluate import model_from
from pipeline.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class Attention:
    """The foreground maps of some images by depth (4, 3), each ``[N, M, h, w]`` in [0, 1]."""

    maps: dict[int, np.ndarray]

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of a map."""
        height, width = next(iter(self.maps.values())).shape[2:]
        return height, width


def attend(found: Checkpoint, store: ImageStore, images: np.ndarray) -> Attention | None:
    """Returns what the network of a checkpoint of MDPR sees in ``images`` (uint8 ``[N, H, W, 3]``).

    None for one that was trained without attention.
    """
    network = cast(MDPRNetwork, model_from(found, MDPR, store).embedder.network)
    network.float().eval()
    with torch.inference_mode():
        given = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
        attention = network(normalize(given, torch.float32)).attention
    return Attention({depth: maps.numpy() for depth, maps in attention.items()}) if attention else None
