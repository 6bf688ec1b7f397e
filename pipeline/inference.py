"""A finished checkpoint as a network, and image files as it takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.batches.transforms import normalize
from pipeline.config import parse
from pipeline.datasets.layouts.folders import files_below
from pipeline.datasets.resizing import Resampling, resize
from pipeline.datasets.validation.inspection import decode, orientation
from pipeline.images.table import FORMATS, DataError
from pipeline.inputs import printable, read_bytes
from pipeline.layers.embedder import Embedder
from pipeline.methods.registry import find
from pipeline.training.checkpoint import open_checkpoint
from pipeline.training.experiment import ExperimentParams
from pipeline.training.precision import use_plain_float32


@dataclass(frozen=True)
class Network:
    """A trained network, ready to embed images of ``height`` x ``width`` pixels; ``meta`` says what made it.

    ``resampling`` brought its training images to that size.
    """

    embedder: Embedder
    height: int
    width: int
    resampling: Resampling
    meta: Mapping[str, Any]


def open_network(folder: Path, device: torch.device | None = None) -> Network:
    """Returns the network of a checkpoint folder (``artifacts/train/NAME``), on a GPU where there is one.

    ``device`` names another place.

    Raises:
        ValueError: when the folder is no whole checkpoint, or of other parameters than the code has now.
    """
    found = open_checkpoint(folder)
    params = parse(ExperimentParams, found.meta["experiment"], f"{folder}: experiment")
    kind, (height, width) = find(params.method), found.meta["image"]
    method = kind(
        parse(kind.params_type, params.settings, f"{folder}: experiment.settings"),
        num_classes=found.meta["num_classes"],
        height=height,
        width=width,
        seed=params.seed,
    )
    method.network.load_state_dict(found.model())
    use_plain_float32()
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    embedder = method.embedder().to(device, torch.float32).eval()
    return Network(embedder, height, width, found.meta["resampling"], found.meta)


def list_images(folder: Path) -> list[Path]:
    """Returns the image files below a folder, sorted, through links, without what systems leave behind.

    Raises:
        DataError: when it is no folder, holds no image, or has links that lead nowhere.
    """
    if not folder.is_dir():
        raise DataError(folder, ["no such folder: give one that holds images"])
    paths, problems = files_below(folder)
    if problems:
        raise DataError(folder, problems)
    found = [folder / path for path in paths if Path(path).suffix.lower() in FORMATS]
    if not found:
        raise DataError(folder, [f"no images here (expected files ending in {', '.join(FORMATS)})"])
    return found


def read_images(files: Sequence[Path], height: int, width: int, resampling: Resampling) -> np.ndarray:
    """Returns image files as they are in a prepared data set of one's own: RGB, upright, resized by a filter of Pillow.

    Shape: ``[N, height, width, 3]`` uint8.

    Raises:
        ValueError: naming a file that is no readable image.
    """
    return np.stack([resize(read_pixels(file), height, width, resampling) for file in files])


def read_pixels(file: Path) -> np.ndarray:
    """Returns an image file as one sees it, uint8 ``[H, W, 3]``.

    Raises:
        ValueError: when it is no readable image.
    """
    content = read_bytes(file)
    return decode(content, printable(file), orientation(content))[1]


def embed_images(network: Network, images: np.ndarray, is_infrared: np.ndarray) -> np.ndarray:
    """Returns the embeddings of one batch as evaluation uses them, float32 ``[B, D]``.

    ``images`` is ``[B, H, W, 3]`` uint8; ``is_infrared [B]`` is for networks that are told it.
    """
    device = next(network.embedder.parameters()).device
    batch = normalize(torch.from_numpy(images).permute(0, 3, 1, 2).to(device), torch.float32)
    with torch.inference_mode():
        return network.embedder(batch, torch.from_numpy(is_infrared).to(device)).cpu().numpy()
